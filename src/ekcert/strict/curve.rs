//! The curves that Go knows, and whether a point is on one.
//!
//! The points are public, so nothing here needs to take the same time for every point, and one point
//! is checked in a run of the program, so nothing needs to be fast.

use super::super::der::Oid;

/// A number below 2^576, its lowest 64 bits first: room for twice the largest prime.
type Number = [u64; 9];

/// A curve y² = x³ - 3x + b over the integers modulo a prime (FIPS 186-5 and SP 800-186, section 3.2.1).
pub struct Curve {
    /// `P-256`
    pub name: &'static str,
    /// The content of its object identifier in DER.
    pub oid: &'static [u8],
    /// Bytes of a coordinate.
    pub size: usize,
    prime: Number,
    b: Number,
}

/// P-224, P-256, P-384 and P-521, with the object identifiers of RFC 5480, section 2.1.1.1.
static CURVES: [Curve; 4] = [
    Curve {
        name: "P-224",
        oid: b"\x2b\x81\x04\x00\x21",
        size: 28,
        prime: number("ffffffffffffffffffffffffffffffff000000000000000000000001"),
        b: number("b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4"),
    },
    Curve {
        name: "P-256",
        oid: b"\x2a\x86\x48\xce\x3d\x03\x01\x07",
        size: 32,
        prime: number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
        b: number("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
    },
    Curve {
        name: "P-384",
        oid: b"\x2b\x81\x04\x00\x22",
        size: 48,
        prime: number(
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        ),
        b: number(
            "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
        ),
    },
    Curve {
        name: "P-521",
        oid: b"\x2b\x81\x04\x00\x23",
        size: 66,
        prime: number(
            "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
             ffffffffffffffffffffffffffffffffffff",
        ),
        b: number(
            "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1\
             bf073573df883d2c34f1ef451fd46b503f00",
        ),
    },
];

impl Curve {
    /// The curve with this object identifier.
    pub fn named(oid: Oid<'_>) -> Option<&'static Self> {
        CURVES.iter().find(|curve| curve.oid == oid.bytes())
    }

    /// The curve of this name.
    pub fn called(name: &str) -> Option<&'static Self> {
        CURVES.iter().find(|curve| curve.name == name)
    }

    /// Whether this is a point of the curve in uncompressed form (SEC 1, section 2.3.3): 04, x, y.
    pub fn has_point(&self, point: &[u8]) -> bool {
        let Some((x, y)) = point.strip_prefix(&[0x04]).and_then(|both| both.split_at_checked(self.size))
        else {
            return false;
        };
        if y.len() != self.size {
            return false;
        }
        let (x, y) = (from_bytes(x), from_bytes(y));
        let three = from_bytes(&[3]);
        // x³ - 3x + b = x (x² - 3) + b
        let right = self.add(&self.multiply(&x, &self.subtract(&self.multiply(&x, &x), &three)), &self.b);
        is_below(&x, &self.prime) && is_below(&y, &self.prime) && self.multiply(&y, &y) == right
    }

    /// a + b modulo the prime; both are below it.
    fn add(&self, a: &Number, b: &Number) -> Number {
        let sum = sum(a, b);
        if is_below(&sum, &self.prime) { sum } else { difference(&sum, &self.prime) }
    }

    /// a - b modulo the prime; both are below it.
    fn subtract(&self, a: &Number, b: &Number) -> Number {
        if is_below(a, b) { difference(&sum(a, &self.prime), b) } else { difference(a, b) }
    }

    /// a × b modulo the prime, by doubling and adding; both are below it.
    fn multiply(&self, a: &Number, b: &Number) -> Number {
        let bits = (0..8 * self.size).rev();
        bits.fold(Number::default(), |product, bit| {
            let doubled = self.add(&product, &product);
            if a[bit / 64] >> (bit % 64) & 1 == 1 { self.add(&doubled, b) } else { doubled }
        })
    }
}

fn sum(a: &Number, b: &Number) -> Number {
    let mut carry = false;
    std::array::from_fn(|i| {
        let (partial, first) = a[i].overflowing_add(b[i]);
        let (limb, second) = partial.overflowing_add(u64::from(carry));
        carry = first || second;
        limb
    })
}

/// a - b, where b is not larger.
fn difference(a: &Number, b: &Number) -> Number {
    let mut borrow = false;
    std::array::from_fn(|i| {
        let (partial, first) = a[i].overflowing_sub(b[i]);
        let (limb, second) = partial.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        limb
    })
}

fn is_below(a: &Number, b: &Number) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// From at most 72 bytes, big-endian.
fn from_bytes(bytes: &[u8]) -> Number {
    let mut number = Number::default();
    for (index, byte) in bytes.iter().rev().enumerate() {
        number[index / 8] |= u64::from(*byte) << (8 * (index % 8));
    }
    number
}

/// From hexadecimal digits, at compile time.
const fn number(digits: &str) -> Number {
    let digits = digits.as_bytes();
    let mut number = [0; 9];
    let mut index = 0;
    while index < digits.len() {
        let digit = digits[digits.len() - 1 - index];
        let value = if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
        number[index / 16] |= (value as u64) << (4 * (index % 16));
        index += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::{CURVES, number};

    #[test]
    fn the_curves_have_the_points_that_they_should() {
        // SP 800-186, section 3.2.1: the base point of P-256.
        let x = number("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
        let y = number("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
        let bytes =
            |number: [u64; 9]| number.iter().rev().flat_map(|limb| limb.to_be_bytes()).skip(40).collect();
        let (x, mut y): (Vec<u8>, Vec<u8>) = (bytes(x), bytes(y));
        let point = |y: &[u8]| [&[4], &x[..], y].concat();
        assert!(CURVES[1].has_point(&point(&y)));
        assert!(!CURVES[1].has_point(&point(&y[1..])));
        assert!(!CURVES[0].has_point(&point(&y)));
        y[31] ^= 1;
        assert!(!CURVES[1].has_point(&point(&y)));
    }
}
