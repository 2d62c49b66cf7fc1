//! Times and the validity (RFC 5280, section 4.1.2.5).

use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};

use super::super::der::{self, Reader};

/// When a certificate is valid, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From this second on, in UTC.
    pub not_before: OffsetDateTime,
    /// Up to this second, in UTC.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// Reads the two times. Which of them is earlier plays no part, and what follows them passes.
    pub fn parse(body: &mut Reader<'_>) -> Option<Self> {
        let mut validity = body.enter(der::SEQUENCE)?;
        Some(Self { not_before: parse(&mut validity)?, not_after: parse(&mut validity)? })
    }
}

/// A `UTCTime` or a `GeneralizedTime`, in UTC; what would lie before year -9999 or after 9999 becomes
/// that limit.
///
/// `YYMMDDhhmm[ss]` or `YYYYMMDDhhmmss`, then `Z` or an offset from UTC. RFC 5280 wants seconds and
/// `Z`; Go takes the rest too. Of two-digit years, 50 to 99 are in the 20th century.
pub fn parse(reader: &mut Reader<'_>) -> Option<OffsetDateTime> {
    let element = reader.element()?;
    let (local, zone) =
        element.content.split_at(element.content.iter().take_while(|b| b.is_ascii_digit()).count());
    let local = match (element.tag, local.len()) {
        (der::UTC_TIME, 10 | 12) => {
            let year = number(&local[..2])?;
            local_time(if year >= 50 { 1900 + year } else { 2000 + year }, &local[2..])?
        }
        (der::GENERALIZED_TIME, 14) => local_time(number(&local[..4])?, &local[4..])?,
        _ => return None,
    };
    Some(local.assume_utc().saturating_sub(offset(zone)?))
}

/// `MMDDhhmm[ss]` in this year.
fn local_time(year: i32, digits: &[u8]) -> Option<PrimitiveDateTime> {
    let (pairs, _) = digits.as_chunks::<2>();
    let pair = |index: usize| pairs.get(index).and_then(|pair| u8::try_from(number(pair)?).ok());
    let date = Date::from_calendar_date(year, Month::try_from(pair(0)?).ok()?, pair(1)?).ok()?;
    let time = Time::from_hms(pair(2)?, pair(3)?, if pairs.len() == 5 { pair(4)? } else { 0 }).ok()?;
    Some(PrimitiveDateTime::new(date, time))
}

/// `Z`, or `+hhmm` or `-hhmm`, up to 24 hours and 59 minutes but not zero, which is written `Z`.
fn offset(zone: &[u8]) -> Option<Duration> {
    let (sign, digits) = match zone {
        b"Z" => return Some(Duration::ZERO),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2).filter(|(_, minutes)| minutes.len() == 2)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 24 && minutes <= 59 && (hours, minutes) != (0, 0))
        .then(|| Duration::minutes(i64::from(sign * (60 * hours + minutes))))
}

/// The number that these decimal digits write.
fn number(digits: &[u8]) -> Option<i32> {
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| 10 * value + i32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::{Reader, parse};
    use crate::ekcert::der::{self, encode};

    fn read(tag: u8, text: &str) -> Option<String> {
        parse(&mut Reader::new(&encode(tag, &[text.as_bytes()]))).map(|time| time.to_string())
    }

    #[test]
    fn times_are_read_as_go_reads_them() {
        for (tag, text, expected) in [
            (der::UTC_TIME, "491231235959Z", Some("2049-12-31 23:59:59.0 +00:00:00")),
            (der::UTC_TIME, "500101000000Z", Some("1950-01-01 0:00:00.0 +00:00:00")),
            (der::UTC_TIME, "0001010000Z", Some("2000-01-01 0:00:00.0 +00:00:00")),
            (der::UTC_TIME, "000101000000+0100", Some("1999-12-31 23:00:00.0 +00:00:00")),
            (der::UTC_TIME, "520229000000-2459", Some("1952-03-01 0:59:00.0 +00:00:00")),
            (der::UTC_TIME, "000101000000", None),
            (der::UTC_TIME, "000101000000+0000", None),
            (der::UTC_TIME, "000101000000+0160", None),
            (der::UTC_TIME, "000101000060Z", None),
            (der::UTC_TIME, "010229000000Z", None),
            (der::UTC_TIME, "000101000000.5Z", None),
            (der::GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01 0:00:00.0 +00:00:00")),
            (der::GENERALIZED_TIME, "205001010000Z", None),
            (der::GENERALIZED_TIME, "99991231235959-0100", Some("9999-12-31 23:59:59.999999999 +00:00:00")),
        ] {
            assert_eq!(read(tag, text).as_deref(), expected, "{text}");
        }
    }
}
