//! Temporary.
use super::EkCertificate;
use time::OffsetDateTime;
#[derive(Debug)]
/// x
pub struct Authorities;
impl Authorities {
    /// x
    #[must_use]
    pub fn from_pem<'a>(_: impl IntoIterator<Item = &'a str>) -> Self {
        Self
    }
    /// x
    pub fn verify(&self, _: &EkCertificate, _: OffsetDateTime) -> Result<(), String> {
        Ok(())
    }
}
impl EkCertificate {
    /// x
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let (_, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).map_err(|e| e.to_string())?;
        Self::from_nv(&block.contents).map_err(|e| e.to_string())
    }
}
