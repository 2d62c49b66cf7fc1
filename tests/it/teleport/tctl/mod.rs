//! The cluster by way of tctl: the stand-in in every awkward mode, and scripts for what it does not do.

mod answers;
mod refusals;
mod ways;
