//! Requests and responses.

mod edge;
mod validation;
