//! What will make this host's join fail, or soon will, although its identity is known: seen from its TPM.
//!
//! A join uses the TPM further than reading the identity does: it makes keys with empty passwords, keeps
//! them, and lets the cluster encrypt a challenge to the EK (behaviour of `tbot`).

use time::OffsetDateTime;

use crate::ekcert::EkCertificate;
use crate::tpm::{EndorsementKey, NoCertificate, PersistentKeys, Properties, Slot};

/// Days before an EK certificate ends within which that is reported.
const EXPIRES_SOON: i64 = 90;

/// One sentence for everything that will make a join fail, or that is about to.
#[must_use]
pub fn join_warnings(
    key: &EndorsementKey,
    properties: &Properties,
    persistent: &PersistentKeys,
    now: OffsetDateTime,
) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(key.no_certificate.as_ref().map(hidden_certificate));
    warnings.extend(key.certificate.as_ref().and_then(|certificate| validity(certificate, now)));
    warnings.extend(other_key(key, &persistent.endorsement));
    warnings.extend(storage_key(&persistent.storage, properties.in_lockout == Some(true)));
    if properties.endorsement_auth_set == Some(true) {
        warnings.push(
            "the TPM's endorsement hierarchy has a password, so tbot cannot join; clear it with \
             `tpm2_changeauth -c endorsement -p PASSWORD`"
                .to_owned(),
        );
    }
    if properties.endorsement_enabled == Some(false) {
        warnings.push(
            "the TPM's endorsement hierarchy is disabled, so tbot cannot join; enable it in the firmware's settings".to_owned(),
        );
    }
    if properties.owner_enabled == Some(false) {
        warnings.push(
            "the TPM's owner hierarchy is disabled, and with it the place where tbot keeps its keys, so tbot cannot join; \
             enable it in the firmware's settings"
                .to_owned(),
        );
    }
    let missing = keys_to_be_made(persistent);
    if properties.owner_auth_set == Some(true) && !missing.is_empty() {
        warnings.push(format!(
            "the TPM's owner hierarchy has a password, and there is no key yet at {}, where tbot keeps one at its first \
             join, so it cannot join; clear the password with `tpm2_changeauth -c owner -p PASSWORD`, at least until \
             then",
            missing.join(" and ")
        ));
    }
    warnings
}

fn hidden_certificate(reason: &NoCertificate) -> String {
    match reason {
        NoCertificate::Lockout => "the TPM is in dictionary-attack lockout, which hides its EK certificate: this is \
             the identity without it, and it changes when the lockout ends; end it with `tpm2_dictionarylockout \
             --clear-lockout`"
            .to_owned(),
        NoCertificate::Refused(code) => format!(
            "the TPM has an NV index for the EK certificate (0x01c00002) that may not be read with an empty password \
             of its own ({code}), so tbot will join without a certificate{}",
            if code.is_counted_against_password() {
                "; each look at it, tbot's too, counts as a wrong password towards the TPM's dictionary-attack lockout"
            } else {
                ""
            }
        ),
        NoCertificate::Unreadable(reason) => format!(
            "NV index 0x01c00002 of the TPM, for the EK certificate, holds no certificate that tbot could read \
             ({reason}), so tbot will join without one"
        ),
    }
}

fn validity(certificate: &EkCertificate, now: OffsetDateTime) -> Option<String> {
    let (begins, ends) = (certificate.validity.not_before, certificate.validity.not_after);
    let days = (ends - now).whole_days();
    if now > ends {
        Some(format!(
            "the EK certificate expired on {}: a cluster that checks it (ekcert_allowed_cas) will refuse this host",
            ends.date()
        ))
    } else if now < begins {
        Some(format!(
            "the EK certificate is not valid before {}: a cluster that checks it (ekcert_allowed_cas) will refuse this \
             host until then; check this machine's clock",
            begins.date()
        ))
    } else if days < EXPIRES_SOON {
        Some(format!(
            "the EK certificate expires in {days} days, on {}: then a cluster that checks it (ekcert_allowed_cas) will \
             refuse this host",
            ends.date()
        ))
    } else {
        None
    }
}

/// `tbot` takes whatever key is at the EK's persistent handle, and makes the default one where there is
/// none; a challenge that is encrypted to another key cannot be answered.
fn other_key(key: &EndorsementKey, slot: &Slot) -> Option<String> {
    let has_certificate = key.certificate.is_some();
    match slot {
        Slot::Empty if has_certificate && !key.public_key.is_rsa(2048, 65_537) => Some(
            "the EK certificate is for another key than this TPM's EK, which is an RSA 2048 key, so tbot cannot join"
                .to_owned(),
        ),
        Slot::Empty => None,
        Slot::Key(found) if found.public.key().as_ref() == Some(&key.public_key) => None,
        Slot::Key(found) if has_certificate && found.public.is_of_ek_template() && found.is_endorsement_primary() => {
            Some(
                "the EK certificate is for another key than the EK that the TPM keeps at 0x81010001, so tbot cannot \
                 join; one of them is not this TPM's own"
                    .to_owned(),
            )
        }
        Slot::Key(_) | Slot::Unknown => Some(
            "the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it \
             cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`"
                .to_owned(),
        ),
    }
}

/// `tbot` makes its attestation key under whatever key is at the storage key's persistent handle.
fn storage_key(slot: &Slot, in_lockout: bool) -> Option<String> {
    match slot {
        Slot::Empty => None,
        Slot::Key(key) if key.public.is_storage_parent() => {
            (in_lockout && !key.public.is_exempt_from_lockout()).then(|| {
                "the TPM is in dictionary-attack lockout, and the storage key at its persistent handle 0x81000001 is not \
                 exempt from it, so tbot cannot join until the lockout ends; end it with `tpm2_dictionarylockout \
                 --clear-lockout`"
                    .to_owned()
            })
        }
        Slot::Key(_) | Slot::Unknown => Some(
            "the key at the TPM's persistent handle 0x81000001 is no storage key that others can be made under with an \
             empty password, so tbot cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c \
             0x81000001`"
                .to_owned(),
        ),
    }
}

/// The handles at which `tbot` would keep a key at its first join, with an empty owner password.
fn keys_to_be_made(persistent: &PersistentKeys) -> Vec<&'static str> {
    let slots = [("0x81000001", &persistent.storage), ("0x81010001", &persistent.endorsement)];
    slots.into_iter().filter(|(_, slot)| **slot == Slot::Empty).map(|(handle, _)| handle).collect()
}
