//! Points in time.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A time as RFC 3339 text, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp {
    text: String,
    instant: OffsetDateTime,
}

impl Timestamp {
    /// The time.
    #[must_use]
    pub fn instant(&self) -> OffsetDateTime {
        self.instant
    }

    /// Whether that time has come.
    #[must_use]
    pub fn is_past(&self, now: OffsetDateTime) -> bool {
        self.instant <= now
    }
}

impl TryFrom<String> for Timestamp {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        OffsetDateTime::parse(&text, &Rfc3339)
            .ok()
            .and_then(|instant| instant.checked_to_offset(UtcOffset::UTC))
            .and_then(|instant| Some(Self { text: instant.format(&Rfc3339).ok()?, instant }))
            .ok_or_else(|| format!("{text:?} is no RFC 3339 time, such as \"2030-01-31T12:00:00Z\""))
    }
}

impl From<Timestamp> for String {
    fn from(expiry: Timestamp) -> Self {
        expiry.text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
