//! Tokens, configurations and the cluster.

mod bot;
mod cluster;
mod config;
mod enroll;
mod preflight;
mod registry;
mod service;
mod slow_splice;
mod slow_yaml_readers;
mod splice;
mod summary;
mod tctl;
mod token;
