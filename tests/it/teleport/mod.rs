//! Tokens, configurations and the cluster.

mod cluster;
mod config;
mod preflight;
mod registry;
mod service;
mod slow_splice;
mod slow_yaml_readers;
mod splice;
mod token;
