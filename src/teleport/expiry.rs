//! When a token ends.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// `metadata.expires`: a time as RFC 3339 text, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expiry {
    text: String,
    instant: OffsetDateTime,
}

impl Expiry {
    /// Whether that time has come.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.instant <= OffsetDateTime::now_utc()
    }
}

impl TryFrom<String> for Expiry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        OffsetDateTime::parse(&text, &Rfc3339)
            .ok()
            .and_then(|instant| instant.checked_to_offset(UtcOffset::UTC))
            .and_then(|instant| Some(Self { text: instant.format(&Rfc3339).ok()?, instant }))
            .ok_or_else(|| format!("{text:?} is no RFC 3339 time, such as \"2030-01-31T12:00:00Z\""))
    }
}

impl From<Expiry> for String {
    fn from(expiry: Expiry) -> Self {
        expiry.text
    }
}
