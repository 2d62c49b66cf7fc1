//! `identify` on TPMs that do not behave.

mod answers;
mod codes;
mod slow_fuzz;
mod transport;
