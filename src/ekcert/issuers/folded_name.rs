//! Names as RFC 5280, section 7.1, compares them.
//!
//! Attribute types must be the same, and texts equal whatever their string type, letter case and blanks; the
//! attributes of one relative name may stand in any order. Unicode's normalization is left out: a name that
//! differs in that alone is another one here, which can only make a chain fail.

use super::super::strict;

/// A form of a Name's content that is the same for names that are equal, and for no others. Empty where the name is.
pub fn folded(name: &[u8]) -> Vec<u8> {
    // What does not read has been refused with the certificate.
    let relative_names = strict::attributes(name).unwrap_or_default();
    let mut form = Vec::new();
    for attributes in relative_names {
        let mut pairs: Vec<Vec<u8>> = attributes.iter().map(folded_attribute).collect();
        pairs.sort_unstable();
        append(&mut form, &pairs.concat());
    }
    form
}

fn folded_attribute((kind, value): &strict::Attribute<'_>) -> Vec<u8> {
    let mut form = Vec::new();
    append(&mut form, kind.bytes());
    match strict::text(value) {
        Some(text) => append(&mut form, folded_text(&text).as_bytes()),
        // No tag is a space, with which no folded text starts.
        None => append(&mut form, &[b" ", value.whole].concat()),
    }
    form
}

/// In lower case, with one space for every run of blanks, and none at the ends.
fn folded_text(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Appends a part so that it cannot run into the next one.
fn append(form: &mut Vec<u8>, part: &[u8]) {
    form.extend(part.len().to_be_bytes());
    form.extend(part);
}

#[cfg(test)]
mod tests {
    use super::super::super::der::{self, encode};
    use super::folded;

    const ORGANIZATION: &[u8] = b"\x55\x04\x0a";
    const COMMON_NAME: &[u8] = b"\x55\x04\x03";

    /// One relative name with these attributes: type, string type, text.
    fn relative(attributes: &[(&[u8], u8, &str)]) -> Vec<u8> {
        let pair = |(kind, tag, text): &(&[u8], u8, &str)| {
            let value = encode(*tag, &[text.as_bytes()]);
            encode(der::SEQUENCE, &[&encode(der::OBJECT_IDENTIFIER, &[kind]), &value])
        };
        let pairs: Vec<u8> = attributes.iter().flat_map(pair).collect();
        encode(der::SET, &[&pairs])
    }

    fn common_name(tag: u8, text: &str) -> Vec<u8> {
        folded(&relative(&[(COMMON_NAME, tag, text)]))
    }

    #[test]
    fn string_type_case_and_blanks_do_not_matter() {
        let expected = common_name(der::PRINTABLE_STRING, "stm tpm ek ca");
        assert_eq!(common_name(der::UTF8_STRING, "STM TPM EK CA"), expected);
        assert_eq!(common_name(der::PRINTABLE_STRING, "  STM   TPM EK CA "), expected);
        assert_ne!(common_name(der::UTF8_STRING, "STM TPM EKCA"), expected);
        assert_eq!(common_name(der::UTF8_STRING, "ÄÖ"), common_name(der::UTF8_STRING, "äö"));
    }

    #[test]
    fn the_order_within_a_relative_name_does_not_matter_and_that_of_relative_names_does() {
        let (o, cn) = ((ORGANIZATION, der::UTF8_STRING, "ACME"), (COMMON_NAME, der::UTF8_STRING, "CA"));
        assert_eq!(folded(&relative(&[o, cn])), folded(&relative(&[cn, o])));
        let [one, other] = [(o, cn), (cn, o)].map(|(a, b)| [relative(&[a]), relative(&[b])].concat());
        assert_ne!(folded(&one), folded(&other));
        assert_ne!(folded(&one), folded(&relative(&[o, cn])));
    }

    #[test]
    fn a_value_that_is_no_text_is_compared_by_its_bytes() {
        let number = relative(&[(COMMON_NAME, der::INTEGER, "\u{1}")]);
        assert_eq!(folded(&number), folded(&number));
        assert_ne!(folded(&number), common_name(der::UTF8_STRING, "\u{2}\u{1}\u{1}"));
        assert!(folded(&[]).is_empty());
    }
}
