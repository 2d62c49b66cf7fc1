//! Pseudo-random choices that are the same on every machine, for tests with fixed seeds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use super::issued::certificate_for;
use super::{SoftwareTpm, certificate};

/// A generator (the algorithm `SplitMix64`) that a seed decides.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// True once in that many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[7]).collect()
    }
}

/// What a TPM is brought into.
#[derive(Debug)]
pub struct State {
    pub certificate: Option<Index>,
    pub nonce: Option<Index>,
    /// What the first two indexes of the chain hold.
    pub chain: [Option<Index>; 2],
    /// Keys at the handles of the storage key and of the EK.
    pub storage: Option<&'static str>,
    pub endorsement: Option<&'static str>,
    /// Hierarchies that have a password.
    pub passwords: Vec<&'static str>,
    pub in_lockout: bool,
}

/// An NV index.
pub struct Index {
    pub attributes: &'static str,
    pub password: bool,
    pub use_of_it: Use,
    pub content: Vec<u8>,
    /// What the content was made from, where that is a certificate that can be read from it.
    pub certificate: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Defined,
    Written,
    LockedForReading,
}

/// The platform's, the owner's, and such as need a policy.
const ATTRIBUTES: [&str; 8] = [
    "ppwrite|ppread|ownerread|authread|platformcreate|no_da",
    "ppwrite|ppread|ownerread|authread|platformcreate|no_da",
    "ppwrite|ppread|ownerread|authread|platformcreate|no_da|read_stclear",
    "ppwrite|ppread|authread|ownerread|platformcreate",
    "ppwrite|ppread|ownerread|platformcreate|no_da",
    "ppwrite|ppread|authread|platformcreate|no_da",
    "ppwrite|policyread|platformcreate|no_da",
    "ownerwrite|ownerread|authread|authwrite",
];

/// As tpm2-tools call them: algorithm, attributes, hierarchy and name algorithm; or what is made otherwise.
const KEYS: [&str; 16] = [
    "storage key",
    "storage key",
    "EK",
    "EK",
    "EK ecc",
    "sealed",
    "rsa2048:rsassa-sha256 sign o sha256",
    "rsa2048:oaep decrypt e sha256",
    "rsa3072 decrypt|restricted o sha256",
    "rsa1024 decrypt|restricted e sha1",
    "ecc256:ecdsa-sha256:null sign|restricted o sha256",
    "ecc384 decrypt|restricted e sha384",
    "ecc521 decrypt o sha512",
    "hmac:sha256 sign o sha256",
    "xor decrypt|restricted e sha256",
    "aes128cfb decrypt|restricted o sha256",
];

impl State {
    pub fn random(random: &mut Random, certificates: &[Vec<u8>]) -> Self {
        let in_lockout = random.once_in(5);
        // tpm2-tools cannot set the lockout's own password in lockout.
        let hierarchies: &[(&str, usize)] = &[("owner", 4), ("endorsement", 6), ("lockout", 4)];
        let settable = hierarchies.iter().filter(|(name, _)| !(in_lockout && *name == "lockout"));
        Self {
            passwords: settable.filter(|(_, times)| random.once_in(*times)).map(|(name, _)| *name).collect(),
            certificate: (!random.once_in(4)).then(|| Index::for_certificate(random, certificates)),
            nonce: random.once_in(3).then(|| Index::for_nonce(random)),
            chain: [3, 6]
                .map(|times| random.once_in(times).then(|| Index::for_certificate(random, certificates))),
            storage: random.once_in(2).then(|| random.one_of(&KEYS)),
            endorsement: random.once_in(2).then(|| random.one_of(&KEYS)),
            in_lockout,
        }
    }

    /// The certificate that is to be seen in this state, in DER.
    pub fn visible_certificate(&self) -> Option<&[u8]> {
        let index = self.certificate.as_ref()?;
        let is_readable = index.use_of_it == Use::Written
            && index.attributes.contains("authread")
            && !index.password
            && (index.attributes.contains("no_da") || !self.in_lockout);
        index.certificate.as_deref().filter(|_| is_readable)
    }

    /// Whether the EK is made with a nonce in this state.
    pub fn has_visible_nonce(&self) -> bool {
        let is_readable =
            |nonce: &Index| nonce.use_of_it == Use::Written && nonce.attributes.contains("ownerread");
        self.nonce.as_ref().is_some_and(is_readable) && !self.passwords.contains(&"owner")
    }

    fn indexes(&self) -> impl Iterator<Item = (&Index, &'static str)> {
        let [first, second] = &self.chain;
        let indexes = [
            (&self.certificate, "0x01c00002"),
            (&self.nonce, "0x01c00003"),
            (first, "0x01c00100"),
            (second, "0x01c00101"),
        ];
        indexes.into_iter().filter_map(|(index, at)| Some((index.as_ref()?, at)))
    }

    fn keys(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let keys = [(self.storage, "0x81000001"), (self.endorsement, "0x81010001")];
        keys.into_iter().filter_map(|(key, at)| Some((key?, at)))
    }
}

/// A software TPM that is brought into one state after another: starting one for each takes longer than all else.
pub struct Subject {
    pub tpm: SoftwareTpm,
    /// The files with the contexts of the keys that it has made already.
    made: HashMap<&'static str, PathBuf>,
}

/// The index by which it is locked out.
const LOCK: &str = "0x01500000";

impl Subject {
    pub fn new(tpm: SoftwareTpm) -> Self {
        tpm.tpm2("tpm2_nvdefine", &["-C", "o", "-a", "authread|authwrite", "-s", "4", "-p", "right", LOCK]);
        let subject = Self { tpm, made: HashMap::new() };
        subject.allow_tries("30");
        subject
    }

    /// So many wrong passwords lock it out.
    fn allow_tries(&self, tries: &str) {
        self.tpm.tpm2("tpm2_dictionarylockout", &["-s", "-n", tries, "-t", "1000", "-l", "1000"]);
    }

    pub fn bring_into(&mut self, state: &State) {
        for (index, at) in state.indexes() {
            index.define(&self.tpm, at);
        }
        for (key, at) in state.keys() {
            self.keep(key, at);
        }
        if state.in_lockout {
            self.allow_tries("1");
            // A wrong password, on an index that counts that.
            assert!(!self.tpm.can("tpm2_nvread", &["-C", LOCK, "-P", "wrong", LOCK]));
        }
        for hierarchy in &state.passwords {
            self.tpm.tpm2("tpm2_changeauth", &["-c", hierarchy, "secret"]);
        }
    }

    /// Takes everything back that makes the state.
    pub fn take_back(&self, state: &State) {
        for hierarchy in &state.passwords {
            self.tpm.tpm2("tpm2_changeauth", &["-c", hierarchy, "-p", "secret", ""]);
        }
        for (index, at) in state.indexes() {
            self.tpm.tpm2("tpm2_nvundefine", &["-C", index.hierarchy(), at]);
        }
        for (_, at) in state.keys() {
            self.tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", at]);
        }
        if state.in_lockout {
            self.allow_tries("30");
        }
        if state.in_lockout || state.indexes().any(|(index, _)| index.password) {
            self.tpm.tpm2("tpm2_dictionarylockout", &["--clear-lockout"]);
        }
    }

    /// Keeps a key at a handle. It makes each key once, since that is slow.
    fn keep(&mut self, key: &'static str, at: &str) {
        if !self.made.contains_key(key) {
            let context = self.tpm.file(&format!("{}.ctx", self.made.len()));
            make_key(&self.tpm, key, context.to_str().unwrap());
            self.made.insert(key, context);
        }
        self.tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", self.made[key].to_str().unwrap(), at]);
        self.tpm.tpm2("tpm2_flushcontext", &["-t"]);
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, holds) =
            (self.content.len(), if self.certificate.is_some() { "a certificate" } else { "bytes" });
        let Self { attributes, password, use_of_it, .. } = self;
        write!(formatter, "{use_of_it:?}, {attributes}, password {password}, {length} bytes with {holds}")
    }
}

impl Index {
    fn for_certificate(random: &mut Random, certificates: &[Vec<u8>]) -> Self {
        let der = certificates[random.below(certificates.len())].clone();
        let length = u16::try_from(der.len()).unwrap().to_be_bytes();
        let header = [&[0x10, 0x01, 0x00][..], &length].concat();
        let (content, is_good) = match random.below(12) {
            0..=2 | 9..=11 => (der.clone(), true),
            3 => ([&der[..], &vec![0xFF; 1024 - der.len()]].concat(), true),
            4 => ([&der[..], &vec![0x00; 1600 - der.len()]].concat(), true),
            5 => ([&header[..], &der, &[0xFF; 9]].concat(), true),
            6 => (der[..der.len() - 1].to_vec(), false),
            7 => (random.bytes(700), false),
            _ => (vec![0; 1 + random.below(8)], false),
        };
        Self { content, certificate: is_good.then_some(der), ..Self::random(random) }
    }

    fn for_nonce(random: &mut Random) -> Self {
        let length = *random.one_of(&[&1_usize, &20, &64, &256, &257, &1300]);
        Self { content: random.bytes(length), ..Self::random(random) }
    }

    /// An index without content.
    fn random(random: &mut Random) -> Self {
        let attributes = random.one_of(&ATTRIBUTES);
        let use_of_it = match random.below(8) {
            0 => Use::Defined,
            1 if attributes.contains("read_stclear") => Use::LockedForReading,
            _ => Use::Written,
        };
        Self { attributes, password: random.once_in(6), use_of_it, content: Vec::new(), certificate: None }
    }

    /// Whose it is, as tpm2-tools call it.
    fn hierarchy(&self) -> &'static str {
        if self.attributes.contains("platformcreate") { "p" } else { "o" }
    }

    fn define(&self, tpm: &SoftwareTpm, at: &str) {
        let hierarchy = self.hierarchy();
        let size = self.content.len().to_string();
        let mut definition = vec!["-C", hierarchy, "-a", self.attributes, "-s", &size];
        if self.password {
            definition.extend(["-p", "secret"]);
        }
        definition.push(at);
        tpm.tpm2("tpm2_nvdefine", &definition);
        if self.use_of_it == Use::Defined {
            return;
        }
        let file = tpm.file("nv");
        fs::write(&file, &self.content).unwrap();
        tpm.tpm2("tpm2_nvwrite", &["-C", hierarchy, "-i", file.to_str().unwrap(), at]);
        if self.use_of_it == Use::LockedForReading {
            tpm.tpm2("tpm2_nvreadlock", &["-C", hierarchy, at]);
        }
    }
}

/// Makes a key, and saves its context in a file.
fn make_key(tpm: &SoftwareTpm, key: &str, context: &str) {
    match *key.split(' ').collect::<Vec<_>>().as_slice() {
        ["storage", "key"] => drop(tpm.tpm2("tpm2_createprimary", &["-C", "o", "-c", context])),
        ["EK"] => drop(tpm.tpm2("tpm2_createek", &["-G", "rsa", "-c", context])),
        ["EK", kind] => drop(tpm.tpm2("tpm2_createek", &["-G", kind, "-c", context])),
        ["sealed"] => {
            let files = ["parent.ctx", "data", "sealed.pub", "sealed.priv"].map(|name| tpm.file(name));
            let [parent, data, public, private] = files.each_ref().map(|file| file.to_str().unwrap());
            fs::write(data, "secret").unwrap();
            tpm.tpm2("tpm2_createprimary", &["-C", "o", "-c", parent]);
            tpm.tpm2("tpm2_create", &["-C", parent, "-i", data, "-u", public, "-r", private]);
            tpm.tpm2("tpm2_flushcontext", &["-t"]);
            tpm.tpm2("tpm2_load", &["-C", parent, "-u", public, "-r", private, "-c", context]);
        }
        [algorithm, role, hierarchy, name] => {
            let attributes = format!("fixedtpm|fixedparent|sensitivedataorigin|userwithauth|{role}");
            let arguments = ["-C", hierarchy, "-G", algorithm, "-g", name, "-a", &attributes, "-c", context];
            tpm.tpm2("tpm2_createprimary", &arguments);
        }
        _ => panic!("no such key: {key}"),
    }
    tpm.tpm2("tpm2_flushcontext", &["-t"]);
}

/// Certificates of every kind of key that an EK may have, of one that it may not have, and some for this EK in PEM. The first
/// one is for another key of the EK's own kind.
pub fn certificates(directory: &Path, ek_pem: &[u8]) -> Vec<Vec<u8>> {
    let curve = |name: &str| format!("ec_paramgen_curve:{name}");
    let (p256, p521) = (curve("P-256"), curve("P-521"));
    let kinds: [&[&str]; 6] = [
        &["rsa:2048"],
        &["rsa:3072"],
        &["ec", "-pkeyopt", &p256],
        &["ec", "-pkeyopt", &p521],
        &["ed25519"],
        &["rsa-pss"],
    ];
    let others = kinds.iter().map(|key| certificate(directory, key, &["-days", "400"]));
    others.chain([30, 400, 400].map(|days| certificate_for(ek_pem, days))).collect()
}
