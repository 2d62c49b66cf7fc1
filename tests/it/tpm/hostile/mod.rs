//! `identify` on TPMs that do not behave.

mod answers;
mod codes;
mod fuzz;
mod transport;
