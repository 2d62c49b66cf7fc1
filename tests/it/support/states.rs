//! TPMs in the states that `identify` meets, made with tpm2-tools, and `identify` asked both ways.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tbot_tpm::teleport::registry::Found;

use super::{BACKENDS, SoftwareTpm, attest, hash_by_openssl, run};

/// How manufacturers provision an index: readable with the index's own empty password.
pub const MANUFACTURERS: &str = "ppwrite|ppread|ownerread|authread|platformcreate|no_da";
pub const EK_CERTIFICATE: &str = "0x01c00002";
pub const EK_NONCE: &str = "0x01c00003";
pub const STORAGE_KEY: &str = "0x81000001";
pub const ENDORSEMENT_KEY: &str = "0x81010001";

/// A key as `tpm2_createprimary` and `tpm2_create` describe one.
#[derive(Clone, Copy)]
pub struct Template<'a> {
    pub algorithm: &'a str,
    pub attributes: &'a str,
    pub policy: Option<[u8; 32]>,
    /// `unique` of an RSA key's template; none leaves it to tpm2-tools, which send one of size 0.
    pub unique: Option<&'a [u8]>,
}

/// `TPM2_PolicySecret` of the endorsement hierarchy (TCG EK Credential Profile 2.0, appendix B.3.3).
pub const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// The default RSA 2048 EK template (same profile, template L-1).
pub const EK_TEMPLATE: Template<'_> = Template {
    algorithm: "rsa2048:null:aes128cfb",
    attributes: "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt",
    policy: Some(EK_POLICY),
    unique: Some(&[0; 256]),
};

/// A key that others can be made under with an empty password.
pub const STORAGE_TEMPLATE: Template<'_> = Template {
    algorithm: "rsa2048:null:aes128cfb",
    attributes: "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt",
    policy: None,
    unique: None,
};

/// A key that signs, and can be no parent.
pub const SIGNING_TEMPLATE: Template<'_> = Template {
    algorithm: "ecc256:ecdsa-sha256:null",
    attributes: "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign",
    policy: None,
    unique: None,
};

impl SoftwareTpm {
    /// Whether one of tpm2-tools succeeds.
    pub fn can(&self, name: &str, arguments: &[&str]) -> bool {
        Command::new(name).args(["-T", &self.tcti()]).args(arguments).output().unwrap().status.success()
    }

    /// What one of tpm2-tools prints.
    pub fn shown(&self, name: &str, arguments: &[&str]) -> String {
        String::from_utf8(self.tpm2(name, arguments)).unwrap()
    }

    /// Everything in the TPM that `identify` must leave alone: NV indexes with their attributes, persistent
    /// keys, the numbers of transient ones and of sessions, passwords, and the count of wrong ones.
    pub fn state(&self) -> String {
        let capability = |name: &str| self.shown("tpm2_getcap", &[name]);
        [
            self.shown("tpm2_nvreadpublic", &[]),
            capability("handles-persistent"),
            capability("properties-variable"),
        ]
        .concat()
    }

    /// Defines an NV index without writing it.
    pub fn define_nv(&self, index: &str, attributes: &str, size: usize, arguments: &[&str]) {
        let size = size.to_string();
        let all = [&["-C", "p", "-a", attributes, "-s", &size, index], arguments].concat();
        self.tpm2("tpm2_nvdefine", &all);
    }

    /// Writes an NV index that the platform may write.
    pub fn fill_nv(&self, index: &str, content: &[u8]) {
        let file = self.path("nv");
        fs::write(&file, content).unwrap();
        self.tpm2("tpm2_nvwrite", &["-C", "p", "-i", &file, index]);
    }

    /// Makes an NV index hold something else.
    pub fn replace_nv(&self, index: &str, attributes: &str, content: &[u8]) {
        self.can("tpm2_nvundefine", &["-C", "p", index]);
        self.write_nv(index, attributes, content);
    }

    fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// `-G`, `-a`, `-L` and `-u` of tpm2-tools.
    fn arguments(&self, template: Template<'_>) -> Vec<String> {
        let mut all =
            ["-g", "sha256", "-G", template.algorithm, "-a", template.attributes].map(str::to_owned).to_vec();
        if let Some(policy) = template.policy {
            fs::write(self.path("policy"), policy).unwrap();
            all.extend(["-L".to_owned(), self.path("policy")]);
        }
        if let Some(unique) = template.unique {
            let size = u16::try_from(unique.len()).unwrap().to_le_bytes();
            fs::write(self.path("unique"), [&size, unique].concat()).unwrap();
            all.extend(["-u".to_owned(), self.path("unique")]);
        }
        all
    }

    /// Makes a primary key in a hierarchy (`e`, `o`), and shows its public key in PEM.
    pub fn primary(&self, hierarchy: &str, template: Template<'_>) -> Vec<u8> {
        self.public_pem(&self.make_primary(hierarchy, template))
    }

    /// The file with the context of a new primary key.
    fn make_primary(&self, hierarchy: &str, template: Template<'_>) -> String {
        let (context, arguments) = (self.path("primary.ctx"), self.arguments(template));
        let mut all = vec!["-C", hierarchy, "-c", &context];
        all.extend(arguments.iter().map(String::as_str));
        self.tpm2("tpm2_createprimary", &all);
        self.tpm2("tpm2_flushcontext", &["-t"]);
        context
    }

    /// Makes a primary key, keeps it at a persistent handle, and hashes its public key by openssl.
    pub fn persist(&self, handle: &str, hierarchy: &str, template: Template<'_>) -> String {
        self.keep_primary(handle, hierarchy, template);
        hash_by_openssl(&self.public_pem(handle))
    }

    /// Makes a primary key of any type, and keeps it at a persistent handle.
    pub fn keep_primary(&self, handle: &str, hierarchy: &str, template: Template<'_>) {
        self.keep(&self.make_primary(hierarchy, template), handle);
    }

    /// Makes a key under a storage key of a hierarchy, keeps it at a persistent handle, and hashes its
    /// public key by openssl.
    pub fn persist_child(&self, handle: &str, hierarchy: &str, template: Template<'_>) -> String {
        let parent = self.make_primary(hierarchy, STORAGE_TEMPLATE);
        let (public, private, child) =
            (self.path("child.pub"), self.path("child.priv"), self.path("child.ctx"));
        let arguments = self.arguments(template);
        let mut all = vec!["-C", &parent, "-u", &public, "-r", &private];
        all.extend(arguments.iter().map(String::as_str));
        self.tpm2("tpm2_create", &all);
        self.tpm2("tpm2_flushcontext", &["-t"]);
        self.tpm2("tpm2_load", &["-C", &parent, "-u", &public, "-r", &private, "-c", &child]);
        self.tpm2("tpm2_flushcontext", &["-t"]);
        self.keep(&child, handle);
        hash_by_openssl(&self.public_pem(&child))
    }

    fn keep(&self, context: &str, handle: &str) {
        self.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", context, handle]);
        self.tpm2("tpm2_flushcontext", &["-t"]);
    }

    fn public_pem(&self, object: &str) -> Vec<u8> {
        let pem = self.path("public.pem");
        self.tpm2("tpm2_readpublic", &["-c", object, "-f", "pem", "-o", &pem]);
        self.tpm2("tpm2_flushcontext", &["-t"]);
        fs::read(pem).unwrap()
    }

    /// The default EK's public key in PEM, by tpm2-tools' own EK template.
    pub fn default_ek(&self) -> Vec<u8> {
        let (pem, context) = (self.path("ek.pem"), self.path("ek.ctx"));
        self.tpm2("tpm2_createek", &["-G", "rsa", "-c", &context, "-f", "pem", "-u", &pem]);
        self.tpm2("tpm2_flushcontext", &["-t"]);
        fs::read(pem).unwrap()
    }

    /// The hash of the default EK, by tpm2-tools and openssl alone.
    pub fn default_ek_hash(&self) -> String {
        hash_by_openssl(&self.default_ek())
    }

    /// Whether a key can be made under the one at a persistent handle with nothing but an empty password.
    pub fn is_parent(&self, handle: &str) -> bool {
        let (public, private) = (self.path("probe.pub"), self.path("probe.priv"));
        let made = self.can(
            "tpm2_create",
            &["-C", handle, "-G", "ecc256:ecdsa-sha256:null", "-u", &public, "-r", &private],
        );
        self.tpm2("tpm2_flushcontext", &["-t"]);
        made
    }

    /// Gives a hierarchy (`owner`, `endorsement`, `lockout`) a password.
    pub fn set_password(&self, hierarchy: &str) {
        self.tpm2("tpm2_changeauth", &["-c", hierarchy, "secret"]);
    }

    /// Drives the TPM into dictionary-attack lockout: one wrong password is enough, and stays counted.
    pub fn lock_out(&self) {
        self.tpm2("tpm2_dictionarylockout", &["-s", "-n", "1", "-t", "100000", "-l", "100000"]);
        self.define_nv("0x01500001", "platformcreate|ownerwrite|authread|authwrite", 8, &["-p", "secret"]);
        assert!(!self.can("tpm2_nvread", &["-P", "wrong", "-s", "8", "0x01500001"]));
        assert!(self.shown("tpm2_getcap", &["properties-variable"]).contains("inLockout:                 1"));
    }
}

/// The answer to `identify` with these further parameters, which must agree with what go-attestation finds.
pub fn ask(tpm: &SoftwareTpm, parameters: &Value) -> Value {
    let answer = ask_every_way(tpm, parameters);
    attest::compare(tpm, &answer, parameters["expected_ek_public_hash"].as_str());
    answer
}

/// The same without go-attestation. Every way to the TPM that this build has must give the same answer, and leave the TPM
/// as it was.
pub fn ask_every_way(tpm: &SoftwareTpm, parameters: &Value) -> Value {
    let before = tpm.state();
    let answers = BACKENDS.iter().map(|backend| {
        let mut request = json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend });
        request.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        let mut answer = run(&request);
        assert_eq!(tpm.state(), before, "{backend} changed the TPM");
        answer.as_object_mut().unwrap().remove("invocation");
        answer
    });
    answers
        .reduce(|native, esapi| {
            assert_eq!(native, esapi);
            native
        })
        .unwrap()
}

/// What `identify` finds; it must succeed.
pub fn identify(tpm: &SoftwareTpm) -> Value {
    success(ask(tpm, &json!({})))
}

/// What `identify` finds where an identity is known from before; it must succeed.
pub fn identify_expecting(tpm: &SoftwareTpm, hash: &str) -> Value {
    success(ask(tpm, &json!({ "expected_ek_public_hash": hash })))
}

/// An answer that is no failure, and that can be recorded.
fn success(answer: Value) -> Value {
    assert!(answer.get("failed").is_none(), "{answer}");
    assert_eq!(answer["changed"], false);
    assert!(serde_json::from_value::<Found>(answer.clone()).is_ok(), "{answer}");
    answer
}

/// The error of an `identify` that must fail with this kind, with its message as `msg`.
pub fn refused(tpm: &SoftwareTpm, parameters: &Value, kind: &str) -> Value {
    let answer = ask(tpm, parameters);
    assert_eq!(answer["failed"], true, "{answer}");
    assert_eq!(answer["error"]["kind"], kind, "{answer}");
    answer
}

/// The one warning of an answer.
pub fn one_warning(answer: &Value) -> &str {
    let warnings = answer["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    warnings[0].as_str().unwrap()
}
