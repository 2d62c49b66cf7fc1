//! Files that are written: whole or not at all.

mod concurrency;
mod slow_crash;
mod slow_full_disk;
mod unchanged;
mod ways;
