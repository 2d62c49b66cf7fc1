//! EK certificates.

mod authorities;
mod certificate;
mod description;
mod issuers;
mod slow_certificate_go;
