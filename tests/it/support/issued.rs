//! EK certificates as manufacturers issue them, made by openssl.

use std::fs;
use std::path::Path;

use super::tool;

/// A certificate in DER for a public key in PEM, valid for that many days from now.
pub fn certificate_for(public_key_pem: &[u8], days: u32) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (key, public) = (issuer_key(directory.path()), path(directory.path(), "public.pem"));
    fs::write(&public, public_key_pem).unwrap();
    tool(
        "openssl",
        &[
            &["x509", "-new", "-subj", "/CN=EK", "-force_pubkey", &public, "-signkey", &key],
            &["-days", &days.to_string(), "-outform", "DER"][..],
        ]
        .concat(),
    )
}

/// A self-signed RSA 2048 certificate in DER with this validity (`YYMMDDHHMMSSZ`).
pub fn certificate_between(not_before: &str, not_after: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| path(directory.path(), name);
    let (key, csr, settings, made) =
        (issuer_key(directory.path()), file("csr"), file("ca.cnf"), file("made.pem"));
    fs::write(file("index"), "").unwrap();
    fs::write(
        &settings,
        format!(
            "[ca]\ndefault_ca = this\n[this]\ndatabase = {}\nnew_certs_dir = {}\ndefault_md = sha256\nrand_serial = yes\n\
             policy = any\n[any]\ncommonName = supplied\n",
            file("index"),
            directory.path().display()
        ),
    )
    .unwrap();
    tool("openssl", &["req", "-new", "-key", &key, "-subj", "/CN=EK", "-out", &csr]);
    let dates = ["-startdate", not_before, "-enddate", not_after];
    let signing =
        ["ca", "-batch", "-notext", "-selfsign", "-config", &settings, "-keyfile", &key, "-in", &csr];
    tool("openssl", &[&signing[..], &dates, &["-out", &made]].concat());
    tool("openssl", &["x509", "-in", &made, "-outform", "DER"])
}

/// The header that some manufacturers put before the certificate, announcing this length.
pub fn tcg_header(length: usize) -> Vec<u8> {
    [&[0x10, 0x01, 0x00][..], &u16::try_from(length).unwrap().to_be_bytes()].concat()
}

fn issuer_key(directory: &Path) -> String {
    let key = path(directory, "key.pem");
    tool("openssl", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &key]);
    key
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().unwrap().to_owned()
}
