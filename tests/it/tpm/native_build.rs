//! The build without libtss2 (`--no-default-features`): what it needs, and what it cannot do.

use serde_json::json;

use crate::support::{SoftwareTpm, fail, tool};

/// Libraries besides the loader, `ld-linux-*`.
const LIBRARIES: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "linux-vdso.so.1"];

#[test]
fn it_needs_no_library_but_those_of_c_and_of_the_compiler() {
    let listed = String::from_utf8(tool("ldd", &[env!("CARGO_BIN_EXE_tbot_tpm")])).unwrap();
    let mut names: Vec<&str> = listed
        .lines()
        .map(|line| line.split_whitespace().next().unwrap().rsplit('/').next().unwrap())
        .filter(|name| !name.starts_with("ld-linux"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, LIBRARIES, "{listed}");
}

#[test]
fn esapi_is_refused_with_what_to_do() {
    let tpm = SoftwareTpm::start();
    let message =
        fail(&json!({ "action": "identify", "tcti": tpm.tcti(), "backend": "esapi" }), "invalid_request");
    assert!(message.contains("no libtss2") && message.contains("default features"), "{message}");
}
