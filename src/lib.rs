//! TPM identities, join tokens and host set-up for Teleport's `tbot`, behind one JSON request and
//! one JSON response.
//!
//! A request travels one way: [`protocol`] parses it, [`actions`] has one thin file for each action,
//! which calls the domain modules, and [`protocol`] renders the answer.
//!
//! - [`protocol`]: requests and responses, Ansible's value coercion, check and diff mode.
//! - `document`: JSON and YAML texts into values, strictly.
//! - [`error`]: the one error type and its kinds.
//! - [`secrets`]: what answers show in the place of secrets.
//! - [`actions`]: parameters in, domain call, result out.
//! - [`tpm`]: the TPM: which device, by what way, NV indexes, the endorsement key (EK).
//! - [`ekcert`]: EK certificates and public keys: parsing, serial numbers, hashes, PEM.
//! - [`teleport`]: Teleport's resources and rules: identities, the registry, join tokens and merging into
//!   them, the join decision, what of a TPM makes a join fail, and `tbot`'s configuration.
//! - [`host`]: the host's files: atomic replacement, directories, owners, units.
//! - [`net`]: HTTP and HTTPS: the client, proxies, which addresses it may go to.
//!
//! Domain modules know nothing of actions and print nothing; only `main.rs` touches standard input,
//! standard output and the exit status.

pub mod actions;
mod document;
pub mod ekcert;
pub mod error;
pub mod host;
mod json;
mod message;
pub mod net;
mod ordered;
mod parallel;
pub mod protocol;
pub mod secrets;
pub mod teleport;
pub mod tpm;
