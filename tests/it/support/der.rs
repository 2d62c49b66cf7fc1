//! DER (X.690) by hand, one function for each type, so that tests can write down what no tool would make.

/// An element: tag, length in its shortest form, content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag], &length(content.len())[..], content].concat()
}

fn length(length: usize) -> Vec<u8> {
    match u32::try_from(length).unwrap().to_be_bytes() {
        [0, 0, 0, short] if short < 0x80 => vec![short],
        [0, 0, 0, long] => vec![0x81, long],
        [0, 0, high, low] => vec![0x82, high, low],
        [0, high, middle, low] => vec![0x83, high, middle, low],
        all => [&[0x84], &all[..]].concat(),
    }
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x31, &parts.concat())
}

/// `[number]`, constructed: explicit tagging, or an implicitly tagged SEQUENCE's content.
pub fn tagged(number: u8, content: &[u8]) -> Vec<u8> {
    element(0xa0 | number, content)
}

/// `[number]`, primitive: implicit tagging.
pub fn context(number: u8, content: &[u8]) -> Vec<u8> {
    element(0x80 | number, content)
}

pub fn boolean(value: u8) -> Vec<u8> {
    element(0x01, &[value])
}

/// An INTEGER with these content bytes, whatever they are.
pub fn integer(content: &[u8]) -> Vec<u8> {
    element(0x02, content)
}

/// A BIT STRING of whole bytes.
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], bytes].concat())
}

pub fn octets(bytes: &[u8]) -> Vec<u8> {
    element(0x04, bytes)
}

pub fn null() -> Vec<u8> {
    element(0x05, &[])
}

/// An OBJECT IDENTIFIER from dotted numbers.
pub fn oid(dotted: &str) -> Vec<u8> {
    let numbers: Vec<u32> = dotted.split('.').map(|number| number.parse().unwrap()).collect();
    let first = 40 * numbers[0] + numbers[1];
    let arcs = std::iter::once(&first).chain(&numbers[2..]);
    let content: Vec<u8> = arcs.flat_map(|arc| base_128(*arc)).collect();
    element(0x06, &content)
}

fn base_128(number: u32) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(number % 128).unwrap()];
    let mut rest = number / 128;
    while rest > 0 {
        bytes.insert(0, 0x80 | u8::try_from(rest % 128).unwrap());
        rest /= 128;
    }
    bytes
}

pub fn utf8(text: &str) -> Vec<u8> {
    element(0x0c, text.as_bytes())
}

pub fn printable(text: &str) -> Vec<u8> {
    element(0x13, text.as_bytes())
}

pub fn utc_time(text: &str) -> Vec<u8> {
    element(0x17, text.as_bytes())
}

pub fn generalized_time(text: &str) -> Vec<u8> {
    element(0x18, text.as_bytes())
}

/// Bytes from hexadecimal digits.
pub fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
}
