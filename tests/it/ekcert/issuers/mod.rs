//! Finding the CA that issued an EK certificate.

mod beside;
mod budgets;
mod chain;
mod current;
mod links;
mod refusals;
mod sources;
