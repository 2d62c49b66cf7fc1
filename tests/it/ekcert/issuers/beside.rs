//! Certificates that a host's TPM holds above its EK certificate: of use for that host, and proof of nothing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::registry::{HOST, Place, certified};
use crate::support::{fail, succeed};

/// A host whose TPM holds these certificates too.
fn with_chain(mut host: Value, chain: &str) -> Value {
    host["ek_cert_chain_pem"] = json!(chain);
    host
}

fn request(hosts: &[Value], roots: &[&str]) -> Value {
    json!({ "action": "ekcert_ca", "hosts": hosts, "trusted_roots": roots, "fetch": false })
}

#[test]
fn the_chain_in_a_tpm_leads_to_a_trusted_root() {
    let acme = Manufacturer::new("ACME");
    let host = with_chain(acme.tpm("a", "01"), &acme.issuing);
    let answer = succeed(&request(std::slice::from_ref(&host), &[&acme.root]));
    assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
    assert_eq!(answer["issuers"][0]["source"], "the TPM of a");
    // What is proved by one host's chain is of use to others.
    let answer = succeed(&request(&[host, acme.tpm("b", "02")], &[&acme.root]));
    assert_eq!(answer["issuers"][0]["hosts"], json!(["a", "b"]));
}

#[test]
fn a_chain_proves_nothing_by_itself_and_counts_for_no_other_host() {
    let (acme, other) = (Manufacturer::new("ACME"), Manufacturer::new("OTHER"));
    let chain = format!("{}{}", acme.issuing, acme.root);
    let hosts = [with_chain(acme.tpm("a", "01"), &chain), acme.tpm("b", "02"), other.tpm("c", "03")];
    let mut request = request(&hosts, &[&other.root]);
    request["ca_bundle"] = json!([other.issuing]);
    request["skip_untrusted"] = json!(true);
    let answer = succeed(&request);
    assert_eq!(answer["ekcert_allowed_cas"], json!([other.issuing]));
    let reasons: Vec<&Value> =
        answer["unresolved"].as_array().unwrap().iter().map(|left_out| &left_out["reason"]).collect();
    snapshot!(reasons[0].as_str().unwrap(), @"issued by CN=ACME Issuing (SHA-256 [HASH], from the TPM of a), which is not trusted: CN=ACME Root (SHA-256 [HASH], from the TPM of a) is a root that is not among the trusted ones. A CA in the TPM may be this machine's own, as with Intel's processors since Tiger Lake. A token would need one CA a machine, so give such hosts a token without `ekcert_allowed_cas`");
    snapshot!(reasons[1].as_str().unwrap(), @"the certificate of its issuer is not in `ca_bundle`, and the EK certificate has no link to it. The recorded chain of its TPM (NV 0x01C00100 to 0x01C001FF) does not have it either: get it from the manufacturer, and give it in `ca_bundle`");
}

#[test]
fn a_ca_that_only_claims_the_name_hides_no_true_one() {
    let (acme, impostor) = (Manufacturer::new("ACME"), Manufacturer::new("ACME"));
    let hosts = [with_chain(acme.tpm("a", "01"), &impostor.issuing), acme.tpm("b", "02")];
    let mut request = request(&hosts, &[&acme.root]);
    request["ca_bundle"] = json!([acme.issuing]);
    assert_eq!(succeed(&request)["ekcert_allowed_cas"], json!([acme.issuing]));
}

#[test]
fn machines_with_a_ca_each_are_told_what_that_means_for_a_token() {
    let (one, two) = (Manufacturer::new("ONE"), Manufacturer::new("TWO"));
    let hosts = [with_chain(one.tpm("a", "01"), &one.issuing), with_chain(two.tpm("b", "02"), &two.issuing)];
    let answer = succeed(&request(&hosts, &[&one.root, &two.root]));
    assert_eq!(answer["ekcert_allowed_cas"].as_array().unwrap().len(), 2);
    let warnings = answer["warnings"].as_array().unwrap();
    snapshot!(warnings.last().unwrap().as_str().unwrap(), @"each of these hosts has a CA of its own in its TPM, so the token grows by one CA a host: `a`, `b`. Give them a token without `ekcert_allowed_cas`, by their hashes");
}

#[test]
fn where_intel_keeps_the_chain_is_told_as_long_as_it_is_not_known() {
    let intel = Manufacturer::new("Intel ODCA");
    snapshot!(fail(&request(&[intel.tpm("a", "01")], &[&intel.root]), "untrusted_ca"), @"no trusted CA was found for an EK certificate: `a`: the certificate of its issuer is not in `ca_bundle`, and the EK certificate has no link to it. The recorded chain of its TPM (NV 0x01C00100 to 0x01C001FF) does not have it either: get it from the manufacturer, and give it in `ca_bundle`; Intel's processors since Tiger Lake certify their TPM themselves: identify the host again to record that chain. A token would need one CA a machine, so give such hosts a token without `ekcert_allowed_cas`; to leave such hosts out, set `skip_untrusted: true`");
    let known = with_chain(intel.tpm("a", "01"), &Manufacturer::new("OTHER").issuing);
    let message = fail(&request(&[known], &[&intel.root]), "untrusted_ca");
    assert!(message.contains("The recorded chain of its TPM") && !message.contains("Tiger"), "{message}");
}

#[test]
fn a_chain_that_no_tpm_has_room_for_is_left_out() {
    let acme = Manufacturer::new("ACME");
    let mut many = String::new();
    while many.len() < 25_000 {
        write!(many, "{}", acme.issuing).unwrap();
    }
    for (chain, why) in [
        (many.as_str(), "and may have 24576"),
        ("none", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "has a damaged certificate"),
    ] {
        let mut request = request(&[with_chain(acme.tpm("a", "01"), chain)], &[&acme.root]);
        request["ca_bundle"] = json!([acme.issuing]);
        let answer = succeed(&request);
        assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
        let warning = answer["warnings"][0].as_str().unwrap();
        assert!(warning.starts_with("left out of `a`: its `ek_cert_chain_pem` "), "{warning}");
        assert!(warning.contains(why), "{warning}");
    }
}

#[test]
fn the_registry_passes_a_chain_on() {
    let acme = Manufacturer::new("ACME");
    let place = Place::new();
    let mut identity = certified();
    // Any certificate: the registry does not look for issuers.
    identity["ek_cert_chain_pem"] = json!(format!("text around\n{}{}", acme.issuing, acme.root));
    let answer = place.record(identity);
    let chain = json!(format!("{}{}", acme.issuing, acme.root));
    assert_eq!(answer["identity"]["ek_cert_chain_pem"], chain);
    let answer = fail(
        &json!({ "action": "ekcert_ca", "registry": place.registry(), "trusted_roots": [acme.root], "fetch": false }),
        "untrusted_ca",
    );
    assert!(answer.contains(HOST) && answer.contains("The recorded chain of its TPM"), "{answer}");
}
