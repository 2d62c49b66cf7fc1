//! The certificate that is verified.

use time::OffsetDateTime;

use super::super::description::name_text;
use super::super::names;
use super::super::signature::{Algorithm, Scheme};
use super::super::strict::{Certificate, Extension, Validity};
use super::super::{der, oid};
use super::constraints::NameConstraints;
use super::refusal::NotVerified;

/// What counts of a certificate when its issuer is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Names, each a SEQUENCE's content in DER.
    pub issuer: Vec<u8>,
    pub subject: Vec<u8>,
    pub key_info: Vec<u8>,
    pub signed: Vec<u8>,
    pub signature: Vec<u8>,
    /// The extension's value in DER.
    pub subject_alt_name: Option<Vec<u8>>,
    pub authority_key_identifier: Vec<u8>,
    algorithm: Algorithm,
    algorithm_name: String,
    validity: Validity,
    unhandled: Option<Unhandled>,
    lacks_policy: bool,
    is_disputed: bool,
}

impl Issued {
    pub fn of(certificate: &Certificate<'_>, is_disputed: bool) -> Self {
        let identifier = certificate
            .extension(oid::AUTHORITY_KEY_IDENTIFIER)
            .and_then(|value| der::Reader::new(value).enter(der::SEQUENCE)?.optional(der::context(0))?);
        Self {
            issuer: certificate.issuer.to_vec(),
            subject: certificate.subject.to_vec(),
            key_info: certificate.key_info.to_vec(),
            signed: certificate.signed.to_vec(),
            signature: certificate.signature.clone(),
            subject_alt_name: certificate.extension(oid::SUBJECT_ALT_NAME).map(<[u8]>::to_vec),
            authority_key_identifier: identifier.unwrap_or_default().to_vec(),
            algorithm: Algorithm::of(certificate.signature_algorithm, certificate.signature_parameters),
            algorithm_name: names::signature(certificate.signature_algorithm),
            validity: certificate.validity,
            unhandled: Unhandled::in_ek_certificate(certificate),
            lacks_policy: lacks_policy(certificate),
            is_disputed,
        }
    }

    /// The issuer's name, safe to show.
    pub fn issuer_text(&self) -> String {
        name_text(&self.issuer).unwrap_or_else(|| "a CA without a name".to_owned())
    }

    /// What must hold whoever issued it.
    pub fn check(&self, at: OffsetDateTime) -> Result<(), NotVerified> {
        if self.is_disputed {
            return Err(NotVerified::Disputed);
        }
        if let Some(Unhandled(extension)) = &self.unhandled {
            return Err(NotVerified::Unhandled(extension.clone()));
        }
        if at < self.validity.not_before {
            return Err(NotVerified::NotYetValid(self.validity.not_before));
        }
        if at > self.validity.not_after {
            return Err(NotVerified::Expired(self.validity.not_after));
        }
        Ok(())
    }

    /// How it is signed, where that and its policies let an issuer count.
    pub fn scheme(&self) -> Result<Scheme, NotVerified> {
        if self.lacks_policy {
            return Err(NotVerified::LacksPolicy);
        }
        let name = || self.algorithm_name.clone();
        match self.algorithm {
            Algorithm::Checked(scheme) => Ok(scheme),
            Algorithm::Insecure => Err(NotVerified::InsecureSignature(name())),
            Algorithm::Unknown => Err(NotVerified::UnknownSignature(name())),
            Algorithm::Disputed => Err(NotVerified::DisputedSignature(name())),
        }
    }
}

/// Whether the certificate asks for a policy at once (requireExplicitPolicy 0) and has none (RFC 5280,
/// section 6.1.5, which is all that is left of policies where there is no intermediate).
fn lacks_policy(certificate: &Certificate<'_>) -> bool {
    let is_asked_for = certificate.extension(oid::POLICY_CONSTRAINTS).is_some_and(|value| {
        let constraints = der::Reader::new(value).enter(der::SEQUENCE);
        constraints.and_then(|mut constraints| constraints.small_integer(der::context(0))) == Some(0)
    });
    let has_any = certificate.extension(oid::CERTIFICATE_POLICIES).is_some_and(|value| {
        der::Reader::new(value).enter(der::SEQUENCE).is_some_and(|policies| !policies.is_empty())
    });
    is_asked_for && !has_any
}

/// The first critical extension that Go does not handle, in dotted numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhandled(pub String);

impl Unhandled {
    /// A critical subjectAltName is handled by the cluster itself where it has directory names only, as EK
    /// certificates have (TCG EK Credential Profile 2.0, section 3.2.9).
    pub fn in_ek_certificate(certificate: &Certificate<'_>) -> Option<Self> {
        let is_excused = |extension: &Extension<'_>| {
            let tags = general_name_tags(extension.value);
            extension.oid.bytes() == oid::SUBJECT_ALT_NAME
                && !tags.is_empty()
                && tags.iter().all(|tag| *tag == der::constructed(4))
        };
        Self::find(certificate, is_excused)
    }

    /// In the certificate of a CA.
    pub fn in_authority(certificate: &Certificate<'_>) -> Option<Self> {
        Self::find(certificate, |_| false)
    }

    fn find(certificate: &Certificate<'_>, is_excused: impl Fn(&Extension<'_>) -> bool) -> Option<Self> {
        let is_unhandled = |extension: &&Extension<'_>| {
            extension.is_critical && !is_handled(extension) && !is_excused(extension)
        };
        let found = certificate.extensions.iter().find(is_unhandled)?;
        Some(Self(names::dotted(found.oid)))
    }
}

fn is_handled(extension: &Extension<'_>) -> bool {
    match extension.oid.bytes() {
        oid::KEY_USAGE
        | oid::BASIC_CONSTRAINTS
        | oid::CRL_DISTRIBUTION_POINTS
        | oid::CERTIFICATE_POLICIES
        | oid::POLICY_MAPPINGS
        | oid::POLICY_CONSTRAINTS
        | oid::EXTENDED_KEY_USAGE
        | oid::INHIBIT_ANY_POLICY => true,
        oid::SUBJECT_ALT_NAME => {
            general_name_tags(extension.value).iter().any(|tag| [1, 2, 6, 7].map(der::context).contains(tag))
        }
        oid::NAME_CONSTRAINTS => {
            NameConstraints::read(extension.value).is_some_and(|constraints| !constraints.has_other_names)
        }
        _ => false,
    }
}

/// The tags of the names in a subjectAltName.
fn general_name_tags(value: &[u8]) -> Vec<u8> {
    let Some(mut names) = der::Reader::new(value).enter(der::SEQUENCE) else { return Vec::new() };
    std::iter::from_fn(|| names.element().map(|name| name.tag)).collect()
}
