//! Tokens, configurations and the cluster.

mod cluster;
mod config;
mod preflight;
mod registry;
mod service;
mod splice;
mod token;
mod yaml_readers;
