//! Finding the CA that issued an EK certificate.

mod chain;
mod current;
mod links;
mod sources;
