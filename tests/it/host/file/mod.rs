//! Files that are written: whole or not at all.

mod concurrency;
mod crash;
mod full_disk;
mod unchanged;
