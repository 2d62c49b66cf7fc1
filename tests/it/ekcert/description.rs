//! What an EK certificate says, as `identify` shows it.

use serde_json::{Value, json};
use tbot_tpm::ekcert::EkCertificate;

use crate::support::certificates::{Parts, extension, name};
use crate::support::der::{
    bits, context, element, integer, null, oid, sequence, set, tagged, utc_time, utf8,
};
use crate::support::{certificate, tool};

fn described(der: &[u8]) -> Value {
    json!(EkCertificate::from_nv(der).unwrap().description())
}

/// The description of the valid certificate with a change.
fn changed(change: impl FnOnce(&mut Parts)) -> Value {
    let mut parts = Parts::valid();
    change(&mut parts);
    described(&parts.der())
}

const MANUFACTURER: &str = "2.23.133.2.1";
const MODEL: &str = "2.23.133.2.2";
const VERSION: &str = "2.23.133.2.3";
const COMMON_NAME: &str = "2.5.4.3";

#[test]
fn a_usual_ek_certificate_is_described() {
    let description = described(&Parts::valid().der());
    let expected = json!({
        "issuer": "C=DE, CN=EK CA",
        "subject_alt_name": "DirName:tpmManufacturer=id:49465800, tpmModel=SLB 9670, tpmVersion=id:00070055",
        "tpm_manufacturer": "id:49465800",
        "tpm_model": "SLB 9670",
        "tpm_version": "id:00070055",
        "not_before": "2025-01-01T00:00:00Z",
        "not_after": "2035-01-01T00:00:00Z",
        "key_algorithm": "RSA 2048",
        "signature_algorithm": "sha256WithRSAEncryption",
        "ca_issuers": ["https://example.com/ca.crt"],
    });
    assert_eq!(description, expected);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&description), names(&expected), "in this order");
}

#[test]
fn a_certificate_that_says_nothing_is_described_as_saying_nothing() {
    let description = changed(|parts| {
        parts.issuer = sequence(&[]);
        parts.extensions.clear();
    });
    for fact in ["issuer", "subject_alt_name", "tpm_manufacturer", "tpm_model", "tpm_version"] {
        assert_eq!(description[fact], Value::Null, "{fact}");
    }
    assert_eq!(description["ca_issuers"], json!([]));
}

#[test]
fn the_tpm_is_found_in_one_relative_name_too() {
    let all = [(MANUFACTURER, "id:414D4400"), (MODEL, "AMD"), (VERSION, "id:00030001")];
    let pairs: Vec<Vec<u8>> = all.iter().map(|(kind, text)| sequence(&[oid(kind), utf8(text)])).collect();
    let names = sequence(&[context(2, b"example.com"), tagged(4, &sequence(&[set(&pairs)]))]);
    let description = changed(|parts| parts.extensions = vec![extension("2.5.29.17", &names)]);
    assert_eq!(description["tpm_manufacturer"], "id:414D4400");
    assert_eq!(description["tpm_model"], "AMD");
    assert_eq!(description["tpm_version"], "id:00030001");
    assert_eq!(
        description["subject_alt_name"],
        "DNS:example.com, DirName:tpmManufacturer=id:414D4400 + tpmModel=AMD + tpmVersion=id:00030001"
    );
}

#[test]
fn every_kind_of_alternative_name_has_a_text() {
    let names = sequence(&[
        tagged(0, &oid("1.3.6.1.4.1.311.20.2.3")),
        context(1, b"ek@example.com"),
        context(6, b"urn:ek"),
        context(7, &[192, 0, 2, 1]),
        context(7, &[0x20; 16]),
        context(8, &[0x2a, 0x03]),
        tagged(4, b"nonsense"),
    ]);
    let description = changed(|parts| parts.extensions = vec![extension("2.5.29.17", &names)]);
    assert_eq!(
        description["subject_alt_name"],
        "otherName:1.3.6.1.4.1.311.20.2.3, email:ek@example.com, URI:urn:ek, IP:192.0.2.1, \
         IP:2020:2020:2020:2020:2020:2020:2020:2020, RID:1.2.3, DirName:"
    );
}

#[test]
fn hostile_texts_are_escaped_and_cut() {
    let issuer =
        |text: &str| changed(|parts| parts.issuer = name(&[(COMMON_NAME, utf8(text))]))["issuer"].clone();
    assert_eq!(issuer("a,b+c\"d;e<f>"), r#"CN=a\,b\+c\"d\;e\<f\>"#);
    assert_eq!(issuer(" # a "), r"CN=\ # a\ ");
    assert_eq!(issuer("#a"), r"CN=\#a");
    assert_eq!(issuer("\u{1b}[31m\r\n\\"), r"CN=\1B[31m\0D\0A\5C");
    assert_eq!(issuer("\u{202e}gro\u{200b}"), r"CN=\E2\80\AEgro\E2\80\8B");
    assert_eq!(issuer(&"ä".repeat(1000)), format!("CN={}…", "ä".repeat(256)));

    let many = name(&vec![(COMMON_NAME, utf8(&"x".repeat(200))); 50]);
    let text = changed(|parts| parts.issuer = many)["issuer"].as_str().unwrap().chars().count();
    assert_eq!(text, 2049);
    let tpm = name(&[
        (MODEL, utf8("\u{7}")),
        (VERSION, integer(&[1])),
        (MANUFACTURER, element(0x1e, &[0x20, 0xac])),
    ]);
    let names = sequence(&[tagged(4, &tpm)]);
    let description = changed(|parts| parts.extensions = vec![extension("2.5.29.17", &names)]);
    assert_eq!(description["tpm_model"], r"\07");
    assert_eq!(description["tpm_version"], Value::Null);
    assert_eq!(description["tpm_manufacturer"], "€");
    assert_eq!(
        description["subject_alt_name"],
        r"DirName:tpmModel=\07, tpmVersion=#020101, tpmManufacturer=€"
    );
}

#[test]
fn links_to_the_issuer_are_shown_as_they_are_asked_for_and_malformed_ones_escaped() {
    let access = |method: &str, location: Vec<u8>| sequence(&[oid(method), location]);
    let (issuers, ocsp) = ("1.3.6.1.5.5.7.48.2", "1.3.6.1.5.5.7.48.1");
    let value = sequence(&[
        access(ocsp, context(6, b"http://ocsp.example.com")),
        access(issuers, tagged(4, &sequence(&[]))),
        access(issuers, context(6, b"http://example.com/\x1b[2J")),
        access(issuers, context(6, "http://exämple.com/a b".as_bytes())),
        access(issuers, context(6, &b"x".repeat(3000))),
        access(issuers, context(6, b"")),
        access(issuers, context(6, b"http:\\\\example.com\\1.crt")),
        access(issuers, context(6, b"http://example.com/1.crt")),
        access(issuers, context(6, b" https://example.com/NTC TPM%20Root  CA.cer ")),
    ]);
    let description = changed(|parts| parts.extensions = vec![extension("1.3.6.1.5.5.7.1.1", &value)]);
    let long = format!("{}…", "x".repeat(256));
    assert_eq!(
        description["ca_issuers"],
        json!([
            r"http://example.com/\1B[2J",
            "http://exämple.com/a b",
            long,
            "(an empty link)",
            r"http:\5C\5Cexample.com\5C1.crt",
            "http://example.com/1.crt",
            "https://example.com/NTC%20TPM%20Root%20%20CA.cer",
        ])
    );
    let many = sequence(&vec![access(issuers, context(6, b"http://example.com/ca.crt")); 100]);
    let description = changed(|parts| parts.extensions = vec![extension("1.3.6.1.5.5.7.1.1", &many)]);
    assert_eq!(description["ca_issuers"].as_array().unwrap().len(), 8);
}

#[test]
fn times_are_shown_in_utc_within_the_years_that_rfc_3339_has() {
    let shown = |from: &str, until: &str| {
        let times = [element(0x18, from.as_bytes()), element(0x18, until.as_bytes())];
        let description = changed(|parts| parts.validity = sequence(&times));
        [description["not_before"].clone(), description["not_after"].clone()]
    };
    assert_eq!(
        shown("20300102030405Z", "20300102030405+0130"),
        ["2030-01-02T03:04:05Z", "2030-01-02T01:34:05Z"]
    );
    assert_eq!(
        shown("00000101000000+0100", "99991231235959Z"),
        ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    );
    assert_eq!(
        shown("00010101000000Z", "99991231235959-2459"),
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    );
    let parts =
        Parts { validity: sequence(&[utc_time("5001010000Z"), utc_time("491231235959Z")]), ..Parts::valid() };
    let validity = EkCertificate::from_nv(&parts.der()).unwrap().validity;
    assert_eq!(validity.not_before.unix_timestamp(), -631_152_000);
    assert_eq!(validity.not_after.unix_timestamp(), 2_524_607_999);
}

#[test]
fn algorithms_are_named_where_they_have_a_name() {
    let of = |algorithm: &str| {
        let identifier = sequence(&[oid(algorithm)]);
        let description = changed(|parts| {
            parts.inner_algorithm.clone_from(&identifier);
            parts.outer_algorithm.clone_from(&identifier);
            parts.key = sequence(&[identifier, bits(&[])]);
        });
        [description["signature_algorithm"].clone(), description["key_algorithm"].clone()]
    };
    assert_eq!(of("1.2.840.113549.1.1.10"), ["rsassaPss", "RSASSA-PSS"]);
    assert_eq!(of("1.2.840.10045.4.3.3"), ["ecdsa-with-SHA384", "1.2.840.10045.4.3.3"]);
    assert_eq!(of("1.2.3.4"), ["1.2.3.4", "1.2.3.4"]);
    let long = format!("1.2{}", ".3".repeat(1000));
    assert_eq!(of(&long)[1], format!("{}…", &long[..64]));
    let unsupported = EkCertificate::from_nv(
        &Parts { key: sequence(&[sequence(&[oid("1.3.101.110"), null()]), bits(&[])]), ..Parts::valid() }
            .der(),
    );
    let error = unsupported.unwrap().public_key().unwrap_err();
    assert!(error.message.contains("X25519"), "{}", error.message);
}

#[test]
fn names_are_those_that_openssl_shows() {
    let directory = tempfile::tempdir().unwrap();
    let subject = "/C=DE/O=TPM, Inc./OU=a\\/b/CN=EK CA/serialNumber=7/emailAddress=a@example.com";
    let der =
        certificate(directory.path(), &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &["-subj", subject]);
    let file = directory.path().join("certificate.der");
    let arguments =
        ["x509", "-inform", "DER", "-in", file.to_str().unwrap(), "-noout", "-issuer", "-nameopt"];
    let shown = String::from_utf8(tool(
        "openssl",
        &[&arguments[..], &["esc_2253,sep_comma_plus_space,sname"]].concat(),
    ));
    let description = described(&der);
    assert_eq!(format!("issuer={}", description["issuer"].as_str().unwrap()), shown.unwrap().trim());
    assert_eq!(description["key_algorithm"], "ECDSA P-384");
    assert_eq!(description["signature_algorithm"], "ecdsa-with-SHA256");
}
