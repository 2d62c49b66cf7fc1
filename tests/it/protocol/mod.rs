//! Requests and responses.

mod edge;
mod limits;
mod secrets;
mod slow_memory;
mod validation;
