//! EK certificates and the CAs of a cluster's tokens.

mod damaged_go;
mod kinds_go;
mod pss_go;
mod refusals;
mod signature_go;
