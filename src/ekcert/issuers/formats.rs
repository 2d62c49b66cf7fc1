//! The certificates in a file or in what a link leads to, in whatever of the usual forms they are: DER, one or several one
//! after another, PEM, and PKCS #7 without signatures (`.p7c`, `.p7b`; RFC 5652, section 5.1; RFC 5280, section 4.2.2.1), in DER, BER or PEM.

use super::super::chain::sequences;
use super::super::der::{self, Element, Reader};
use super::super::pem::{self, Block};
use super::super::strict;

/// 1.2.840.113549.1.7.2, id-signedData (RFC 5652, section 5.1).
const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// Labels of PEM blocks with a certificate (RFC 7468, section 5.1, and the one before it).
const CERTIFICATE_LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];
/// Labels of PEM blocks with PKCS #7 (RFC 7468, sections 8 and 9).
const PKCS7_LABELS: [&str; 2] = ["PKCS7", "CMS"];
/// Values within values that are followed.
const DEEPEST: usize = 16;

/// What a file or an answer holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Certificates in DER, each once and without what follows it, in their order.
    pub certificates: Vec<Vec<u8>>,
    /// Why what looks like a certificate is none, for each of these.
    pub damaged: Vec<String>,
}

impl Contents {
    /// What these bytes hold. Whatever else there is, such as text around PEM blocks and keys in them, does not count.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        let begun = pem::begun(bytes);
        if begun == 0 && bytes.first() == Some(&der::SEQUENCE) {
            contents.take_binary(bytes);
            return contents;
        }
        let blocks: Vec<Block> = pem::blocks(bytes).collect();
        for block in &blocks {
            contents.take_block(block);
        }
        if blocks.len() < begun {
            let unreadable = begun - blocks.len();
            contents.damaged.push(format!("{unreadable} of the {begun} PEM blocks cannot be read"));
        }
        contents
    }

    /// What these bytes hold, which are certificates in DER one after another.
    pub(in crate::ekcert) fn of_der(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        contents.take_der(bytes);
        contents
    }

    fn take_block(&mut self, block: &Block) {
        if CERTIFICATE_LABELS.contains(&block.label.as_str()) {
            self.take_certificate(&block.content);
        } else if PKCS7_LABELS.contains(&block.label.as_str()) {
            self.take_binary(&block.content);
        }
    }

    fn take_binary(&mut self, bytes: &[u8]) {
        match signed_data_certificates(bytes) {
            Some(certificates) => certificates.into_iter().for_each(|it| self.take_certificate(it)),
            None => self.take_der(bytes),
        }
    }

    fn take_der(&mut self, bytes: &[u8]) {
        let (certificates, end) = sequences(bytes);
        if certificates.is_empty() && end.is_some() {
            // It says what is wrong in better words.
            self.take_certificate(bytes);
            return;
        }
        for der in certificates {
            self.take_certificate(der);
        }
        self.damaged.extend(end);
    }

    fn take_certificate(&mut self, bytes: &[u8]) {
        match strict::read(bytes) {
            Ok(reading) => {
                let der = reading.certificate.der;
                if !self.certificates.iter().any(|known| known == der) {
                    self.certificates.push(der.to_vec());
                }
            }
            Err(why) => self.damaged.push(why.to_string()),
        }
    }
}

/// The certificates of a PKCS #7 message that is `SignedData`; none where the bytes are something else.
fn signed_data_certificates(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let message = child(bytes, der::SEQUENCE)?;
    let kind = message.first().filter(|element| element.tag == der::OBJECT_IDENTIFIER)?;
    if kind.content != SIGNED_DATA {
        return None;
    }
    let content = message.get(1).filter(|element| element.tag == der::constructed(0))?;
    let signed_data = child(content.content, der::SEQUENCE)?;
    // Version, algorithms and content come first, and are of no interest.
    let Some(set) = signed_data.iter().find(|element| element.tag == der::constructed(0)) else {
        return Some(Vec::new());
    };
    let certificates = elements(set.content, DEEPEST)?.0;
    Some(certificates.iter().filter(|it| it.tag == der::SEQUENCE).map(|it| it.whole).collect())
}

/// The elements in the first element, which must have this tag.
fn child(bytes: &[u8], tag: u8) -> Option<Vec<Element<'_>>> {
    let (element, _) = ber_element(bytes, DEEPEST)?;
    (element.tag == tag).then(|| elements(element.content, DEEPEST))?.map(|(elements, _)| elements)
}

/// The elements up to the end, or up to two zero bytes, which end a content of indefinite length; and what
/// follows these.
fn elements(mut bytes: &[u8], depth: usize) -> Option<(Vec<Element<'_>>, &[u8])> {
    let mut elements = Vec::new();
    loop {
        if let [0, 0, rest @ ..] = bytes {
            return Some((elements, rest));
        }
        if bytes.is_empty() {
            return Some((elements, bytes));
        }
        let (element, rest) = ber_element(bytes, depth)?;
        elements.push(element);
        bytes = rest;
    }
}

/// The next element, whose length may be indefinite (X.690, section 8.1.3.6), and what follows it.
fn ber_element(bytes: &[u8], depth: usize) -> Option<(Element<'_>, &[u8])> {
    let depth = depth.checked_sub(1)?;
    if let [tag, 0x80, content @ ..] = bytes {
        let (_, rest) = elements(content, depth)?;
        let length = content.len() - rest.len();
        let whole = &bytes[..bytes.len() - rest.len()];
        return Some((Element { tag: *tag, content: &content[..length], whole }, rest));
    }
    let mut reader = Reader::new(bytes);
    let element = reader.element()?;
    Some((element, reader.rest()))
}

#[cfg(test)]
mod tests {
    use super::super::super::der::{self, encode};
    use super::{SIGNED_DATA, signed_data_certificates};

    fn message(certificates: &[&[u8]]) -> Vec<u8> {
        let digests = encode(der::SET, &[]);
        let version = encode(der::INTEGER, &[&[1]]);
        let content = encode(der::SEQUENCE, &[&encode(der::OBJECT_IDENTIFIER, &[b"\x2a"])]);
        let set = encode(der::constructed(0), certificates);
        let signed = encode(der::SEQUENCE, &[&version, &digests, &content, &set]);
        let kind = encode(der::OBJECT_IDENTIFIER, &[SIGNED_DATA]);
        encode(der::SEQUENCE, &[&kind, &encode(der::constructed(0), &[&signed])])
    }

    #[test]
    fn certificates_of_a_message_are_found_and_other_things_are_no_message() {
        let (one, two) = (encode(der::SEQUENCE, &[b"one"]), encode(der::SEQUENCE, &[b"two"]));
        assert_eq!(signed_data_certificates(&message(&[&one, &two])), Some(vec![&one[..], &two[..]]));
        assert_eq!(signed_data_certificates(&message(&[])), Some(Vec::new()));
        assert_eq!(signed_data_certificates(&one), None);
        assert_eq!(signed_data_certificates(&[]), None);
    }

    #[test]
    fn lengths_may_be_indefinite_and_a_bottomless_one_is_refused() {
        let one = encode(der::SEQUENCE, &[b"one"]);
        let indefinite = |tag: u8, parts: &[&[u8]]| [&[tag, 0x80], &parts.concat()[..], &[0, 0]].concat();
        let kind = encode(der::OBJECT_IDENTIFIER, &[SIGNED_DATA]);
        let version = encode(der::INTEGER, &[&[1]]);
        let set = indefinite(der::constructed(0), &[&one]);
        let signed = indefinite(der::SEQUENCE, &[&version, &encode(der::SET, &[]), &set]);
        let message = indefinite(der::SEQUENCE, &[&kind, &indefinite(der::constructed(0), &[&signed])]);
        assert_eq!(signed_data_certificates(&message), Some(vec![&one[..]]));
        assert_eq!(signed_data_certificates(&[0x30, 0x80].repeat(10_000)), None);
    }
}
