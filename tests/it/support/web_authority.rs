//! A CA of the tests' own for HTTPS servers, made by openssl, with a new key each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tbot_tpm::ekcert::pem_encode;
use tempfile::TempDir;

use super::tool;

/// The CA: its certificate is in the file [`WebAuthority::pem_file`].
pub struct WebAuthority {
    directory: TempDir,
    curve: &'static str,
}

/// A server's certificate and key.
pub struct Certified {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    Now,
    /// Until the year 2021.
    Past,
    /// From the year 2049.
    Future,
}

impl WebAuthority {
    /// With keys on P-256.
    pub fn new() -> Self {
        Self::with_curve("P-256")
    }

    /// With keys on that curve, its own and those of its servers (`P-521`).
    pub fn with_curve(curve: &'static str) -> Self {
        let authority = Self { directory: tempfile::tempdir().unwrap(), curve };
        fs::write(authority.file("index.txt"), "").unwrap();
        let configuration = format!(
            "[ca]\ndefault_ca = a\n[a]\ndatabase = {}\nnew_certs_dir = {}\nrand_serial = yes\nunique_subject = no\n\
             default_md = sha512\npolicy = p\n[p]\ncommonName = supplied\n",
            authority.text("index.txt"),
            authority.directory.path().display(),
        );
        fs::write(authority.file("ca.conf"), configuration).unwrap();
        let usage = ["-addext", "keyUsage=critical,keyCertSign"];
        authority.request("ca", "/CN=Web CA", &[&["-x509", "-days", "30"], &usage[..]].concat());
        authority
    }

    /// A certificate for these names (`DNS:localhost`, `IP:127.0.0.1`).
    pub fn certify(&self, names: &[&str]) -> Certified {
        self.certify_when(names, Valid::Now)
    }

    /// The same, valid at another time.
    pub fn certify_when(&self, names: &[&str], valid: Valid) -> Certified {
        self.issue(["server", "ca"], "CA:FALSE", names, valid)
    }

    /// A certificate that nobody but itself issued, for these names; not of this CA.
    pub fn self_signed(names: &[&str]) -> Certified {
        Self::self_signed_when("CA:FALSE", names, Valid::Now)
    }

    /// The same with these basicConstraints (`CA:TRUE`), valid at another time.
    pub fn self_signed_when(constraints: &str, names: &[&str], valid: Valid) -> Certified {
        Self::new().issue(["server", "server"], constraints, names, valid)
    }

    /// A server's certificate of this CA, and one that it issued for these names although it is no CA's.
    pub fn misused(&self, names: &[&str]) -> (Certified, Certified) {
        let issuer = self.issue(["issuer", "ca"], "CA:FALSE", names, Valid::Now);
        (issuer, self.issue(["server", "issuer"], "CA:FALSE", names, Valid::Now))
    }

    /// A certificate of that name, by that issuer, which may be itself.
    fn issue(&self, [name, issuer]: [&str; 2], constraints: &str, names: &[&str], valid: Valid) -> Certified {
        let (start, end) = match valid {
            Valid::Now => ("20200101000000Z", "20500101000000Z"),
            Valid::Past => ("20200101000000Z", "20210101000000Z"),
            Valid::Future => ("20490101000000Z", "20500101000000Z"),
        };
        self.request(name, &format!("/CN={name}"), &["-new"]);
        let names =
            if names.is_empty() { String::new() } else { format!("subjectAltName={}\n", names.join(",")) };
        fs::write(self.file("server.ext"), format!("basicConstraints=critical,{constraints}\n{names}"))
            .unwrap();
        let of = |name: &str, ending: &str| self.text(&format!("{name}.{ending}"));
        let (configuration, csr, pem) = (self.text("ca.conf"), of(name, "csr"), of(name, "pem"));
        let (ca, key, extensions) = (of(issuer, "pem"), of(issuer, "key"), self.text("server.ext"));
        let mut all = vec!["ca", "-batch", "-notext", "-config", &configuration, "-in", &csr, "-out", &pem];
        all.extend(if name == issuer { vec!["-selfsign"] } else { vec!["-cert", &ca] });
        all.extend(["-keyfile", &key, "-extfile", &extensions, "-startdate", start, "-enddate", end]);
        tool("openssl", &all);
        self.read(name)
    }

    /// The file with its certificate, PEM.
    pub fn pem_file(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The file with its private key, PEM.
    pub fn key_file(&self) -> PathBuf {
        self.file("ca.key")
    }

    fn request(&self, name: &str, subject: &str, more: &[&str]) {
        let ending = if more.contains(&"-x509") { "pem" } else { "csr" };
        let (out, key) = (self.text(&format!("{name}.{ending}")), self.text(&format!("{name}.key")));
        let curve = format!("ec_paramgen_curve:{}", self.curve);
        let mut all = vec!["req", "-newkey", "ec", "-pkeyopt", &curve, "-nodes", "-subj", subject];
        all.extend(["-out", &out, "-keyout", &key]);
        all.extend(more);
        tool("openssl", &all);
    }

    fn read(&self, name: &str) -> Certified {
        let certificate = CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).unwrap();
        Certified { certificate, key }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        path_text(&self.file(name))
    }
}

impl Certified {
    /// The certificate, PEM.
    pub fn pem(&self) -> String {
        pem_encode("CERTIFICATE", &self.certificate).unwrap()
    }

    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config_with(Arc::new(NoClientAuth))
    }

    /// The same for a server that wants a certificate of each client, which this one issued.
    pub fn server_config_for_known_clients(&self) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Self::provider());
        self.server_config_with(verifier.build().unwrap())
    }

    fn server_config_with(&self, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Self::provider());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let certificates = vec![self.certificate.clone()];
        let config =
            builder.with_client_cert_verifier(clients).with_single_cert(certificates, self.key.clone_key());
        Arc::new(config.unwrap())
    }

    fn provider() -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::aws_lc_rs::default_provider())
    }
}

fn path_text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
