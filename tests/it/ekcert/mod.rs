//! EK certificates.

mod authorities;
mod certificate;
mod certificate_go;
mod description;
mod issuers;
