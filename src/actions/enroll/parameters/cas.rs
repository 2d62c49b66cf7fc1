//! By what the CAs of a fleet's EK certificates are looked for.

use super::Parameters;
use crate::actions::ekcert_ca;
use crate::error::{Error, Result};

impl Parameters {
    /// By what CAs are looked for. None are without something that is trusted.
    pub(super) fn cas(&mut self) -> Result<Option<ekcert_ca::Terms>> {
        let (bundle, roots, pins) =
            (self.ca_bundle.take(), self.trusted_roots.take(), self.trusted_sha256.take());
        let is_asked =
            [bundle.as_ref().map(Vec::len), roots.as_ref().map(Vec::len), pins.as_ref().map(Vec::len)];
        if is_asked.iter().flatten().sum::<usize>() == 0 {
            // Empty lists ask for CAs as well, and must not end with a token without any.
            if is_asked.iter().any(Option::is_some) || self.ekcert_allowed_cas.is_some() {
                self.allow_without_cas.get_or_insert(false);
            }
            return Ok(None);
        }
        if self.ekcert_allowed_cas.is_some() {
            return Err(Error::invalid(
                "`ekcert_allowed_cas` says which CAs the token allows, and `ca_bundle`, `trusted_roots` and `trusted_sha256` \
                 have them found: give either the one or some of the others",
            ));
        }
        let (trusted_roots, trusted_sha256) = (roots.unwrap_or_default(), pins.unwrap_or_default());
        if trusted_roots.is_empty() && trusted_sha256.is_empty() {
            return Err(Error::invalid("to be in `ca_bundle` makes no CA trusted").hint(
                "give the roots of the TPMs' manufacturers in `trusted_roots`, or the fingerprints of the CAs that may have issued \
                 EK certificates in `trusted_sha256`",
            ));
        }
        let terms = ekcert_ca::Terms {
            ca_bundle: bundle.unwrap_or_default(),
            trusted_roots,
            trusted_sha256,
            fetch: self.fetch,
            allowed_urls: self.allowed_urls.take(),
            ca_file: self.ca_file.take(),
            timeout: self.fetch_timeout,
            total_timeout: self.total_timeout,
            skip_untrusted: true,
        };
        terms.check()?;
        Ok(Some(terms))
    }
}
