//! Durations as Go writes them, by which `tbot` reads them: `1h30m`, `20m0s`, `.5h`.

/// Nanoseconds of each unit (Go's `time.ParseDuration`). Micro has two signs in Unicode.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Digits of a fraction that count.
const PRECISION: usize = 18;

/// Nanoseconds of 24 hours.
pub(super) const DAY: i64 = 24 * 3_600_000_000_000;

/// The nanoseconds of a duration: an optional sign, then numbers, each with its unit, or a bare `0`.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits == "0" {
        return Some(0);
    }
    let (mut total, mut rest) = (0_i128, Some(digits).filter(|digits| !digits.is_empty())?);
    while !rest.is_empty() {
        let (number, behind) = split(rest, |c| !is_digit(c));
        let (unit, next) = split(behind, is_digit);
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(scaled(number, scale)?)?;
        rest = next;
    }
    i64::try_from(sign * total).ok()
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(PRECISION)];
    let value = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
    let power = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    value(whole)?.checked_mul(scale)?.checked_add(value(fraction)?.checked_mul(scale)? / power)
}

#[cfg(test)]
mod tests {
    use super::nanoseconds;

    #[test]
    fn durations_are_those_of_go() {
        const SECOND: i64 = 1_000_000_000;
        for (text, expected) in [
            ("1h30m", 5400 * SECOND),
            ("20m0s", 1200 * SECOND),
            (".5h", 1800 * SECOND),
            ("1.h", 3600 * SECOND),
            ("1.5s", SECOND * 3 / 2),
            ("1s1h", 3601 * SECOND),
            ("-2m", -120 * SECOND),
            ("+2m", 120 * SECOND),
            ("0", 0),
            ("-0", 0),
            ("3\u{b5}s4\u{3bc}s5us6ms7ns", 6_012_007),
            ("0.1000000000000000000000000000001s", SECOND / 10),
            ("2562047h47m16.854775807s", i64::MAX),
        ] {
            assert_eq!(nanoseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_go_does_not_take_is_no_duration() {
        for text in [
            "",
            "-",
            "1",
            "10",
            "1d",
            "1h 30m",
            " 1h",
            "1h ",
            "h",
            ".h",
            "1..5h",
            "1.5.5h",
            "1H",
            "1m-3s",
            "00",
            "0.0",
            "1hour",
            "24:00",
            "2562047h47m16.854775808s",
            "9999999999999999999999999999999999999999h",
            "0x1h",
            "1e3s",
            "１h",
        ] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }
}
