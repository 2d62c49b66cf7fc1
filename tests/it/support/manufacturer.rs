//! A TPM manufacturer with a root and an issuing CA, made by openssl.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{hash_by_openssl, tool};

/// The CAs' certificates and keys, in a directory of their own.
pub struct Manufacturer {
    directory: TempDir,
    /// The root's certificate, PEM.
    pub root: String,
    /// The issuing CA's certificate, PEM.
    pub issuing: String,
}

impl Manufacturer {
    /// CAs that are called `NAME Root` and `NAME Issuing`, with keys on P-384.
    pub fn new(name: &str) -> Self {
        Self::make(name, ["P-384"; 2], "", "")
    }

    /// The same with keys on these curves, the root's first.
    pub fn on_curves(name: &str, curves: [&str; 2]) -> Self {
        Self::make(name, curves, "", "")
    }

    /// The same with keys on P-521, where each certificate links to its issuer's, at these URLs.
    pub fn linked(name: &str, root: &str, issuing: &str) -> Self {
        let link = |url| format!("authorityInfoAccess=caIssuers;URI:{url}\n");
        Self::make(name, ["P-521"; 2], &link(root), &link(issuing))
    }

    fn make(name: &str, curves: [&str; 2], link_to_root: &str, link_to_issuing: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let curves = curves.map(|curve| format!("ec_paramgen_curve:{curve}"));
        let [of_root, of_issuing] = [0, 1].map(|ca| ["-newkey", "ec", "-pkeyopt", &curves[ca], "-nodes"]);
        let (root, issuing) = (format!("/CN={name} Root"), format!("/CN={name} Issuing"));
        openssl(
            path,
            &["req", "-x509", "-days", "30", "-subj", &root, "-out", "root.pem", "-keyout", "root.key"],
            &of_root,
        );
        openssl(
            path,
            &["req", "-subj", &issuing, "-out", "issuing.csr", "-keyout", "issuing.key"],
            &of_issuing,
        );
        let ca = format!("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n{link_to_root}");
        fs::write(path.join("ca.ext"), ca).unwrap();
        let ek = format!("basicConstraints=critical,CA:FALSE\n{link_to_issuing}");
        fs::write(path.join("ek.ext"), ek).unwrap();
        let sign = ["x509", "-req", "-days", "30", "-sha384", "-in", "issuing.csr", "-out", "issuing.pem"];
        openssl(
            path,
            &sign,
            &["-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "ca.ext"],
        );
        let text = |file: &str| fs::read_to_string(path.join(file)).unwrap();
        let (root, issuing) = (text("root.pem"), text("issuing.pem"));
        Self { directory, root, issuing }
    }

    /// The identity of a new TPM with an EK certificate of that serial number (`0f:ff`).
    pub fn tpm(&self, description: &str, serial: &str) -> Value {
        let path = self.directory.path();
        openssl(
            path,
            &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "ek.key"],
            &[],
        );
        openssl(path, &["req", "-new", "-key", "ek.key", "-subj", "/CN=EK", "-out", "ek.csr"], &[]);
        let serial_option = format!("0x{}", serial.replace(':', ""));
        let sign = ["x509", "-req", "-days", "20", "-sha384", "-in", "ek.csr", "-out", "ek.pem"];
        openssl(
            path,
            &sign,
            &[
                "-CA",
                "issuing.pem",
                "-CAkey",
                "issuing.key",
                "-set_serial",
                &serial_option,
                "-extfile",
                "ek.ext",
            ],
        );
        let public = openssl(path, &["pkey", "-in", "ek.key", "-pubout"], &[]);
        json!({
            "description": description, "ek_public_hash": hash_by_openssl(&public), "ek_cert_serial": serial,
            "ek_cert_present": true, "ek_cert_pem": fs::read_to_string(path.join("ek.pem")).unwrap(),
        })
    }
}

/// Runs openssl on files of a directory.
fn openssl(directory: &Path, arguments: &[&str], more: &[&str]) -> Vec<u8> {
    let place = |argument: &&str| {
        let is_file = [".pem", ".key", ".csr", ".ext"].iter().any(|ending| argument.ends_with(ending));
        if is_file { directory.join(argument).to_str().unwrap().to_owned() } else { (*argument).to_owned() }
    };
    let all: Vec<String> = arguments.iter().chain(more).map(place).collect();
    tool("openssl", &all.iter().map(String::as_str).collect::<Vec<_>>())
}
