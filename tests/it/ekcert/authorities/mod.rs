//! EK certificates and the CAs of a cluster's tokens.

mod refusals;
mod slow_damaged_go;
mod slow_kinds_go;
mod slow_pss_go;
mod slow_signature_go;
