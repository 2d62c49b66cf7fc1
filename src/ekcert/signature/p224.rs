//! ECDSA on P-224 (FIPS 186-5, section 6.4.2; SP 800-186, section 3.2.1.2), which aws-lc does not offer.

use num_bigint::BigUint;

use super::super::der::{self, Reader};
use super::super::strict::Curve;

/// The order of the base point.
const ORDER: &[u8] =
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x16\xa2\xe0\xb8\xf0\x3e\x13\xdd\x29\x45\x5c\
      \x5c\x2a\x3d";
/// The base point.
const BASE: [&[u8]; 2] = [
    b"\xb7\x0e\x0c\xbd\x6b\xb4\xbf\x7f\x32\x13\x90\xb9\x4a\x03\xc1\xd3\x56\xc2\x11\x22\x34\x32\x80\xd6\x11\
      \x5c\x1d\x21",
    b"\xbd\x37\x63\x88\xb5\xf7\x23\xfb\x4c\x22\xdf\xe6\xcd\x43\x75\xa0\x5a\x07\x47\x64\x44\xd5\x81\x99\x85\
      \x00\x7e\x34",
];
/// Bytes of a coordinate, and of the part of a hash that counts.
const SIZE: usize = 28;

/// Whether the key with this uncompressed point, which is on the curve, signed the hash. The signature is
/// an `ECDSA-Sig-Value` in strict DER (RFC 3279, section 2.2.3).
pub fn made(key: &[u8], hash: &[u8], signature: &[u8]) -> bool {
    verify(key, hash, signature).unwrap_or(false)
}

fn verify(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<bool> {
    let order = BigUint::from_bytes_be(ORDER);
    let (r, s) = numbers(signature)?;
    if r >= order || s >= order {
        return Some(false);
    }
    let field = Field { prime: Curve::called("P-224")?.prime() };
    let (x, y) = key.strip_prefix(&[0x04])?.split_at_checked(SIZE)?;
    let [key, base] = [[x, y], BASE].map(|point| Some(point.map(BigUint::from_bytes_be)));
    let hash = BigUint::from_bytes_be(hash.get(..SIZE)?);
    let inverse = s.modinv(&order)?;
    let from_base = field.multiply(&base, &(hash * &inverse % &order));
    let from_key = field.multiply(&key, &(&r * inverse % &order));
    let [x, _] = field.add(&from_base, &from_key)?;
    Some(x % order == r)
}

/// The two numbers of a signature, neither zero.
fn numbers(signature: &[u8]) -> Option<(BigUint, BigUint)> {
    let mut whole = Reader::new(signature);
    let mut pair = whole.enter(der::SEQUENCE)?;
    let numbers = (pair.positive()?, pair.positive()?);
    (whole.is_empty() && pair.is_empty())
        .then(|| (BigUint::from_bytes_be(numbers.0), BigUint::from_bytes_be(numbers.1)))
}

/// Affine coordinates; none is the point at infinity.
type Point = Option<[BigUint; 2]>;

/// The integers modulo the curve's prime, and its points.
struct Field {
    prime: BigUint,
}

impl Field {
    fn subtract(&self, from: &BigUint, number: &BigUint) -> BigUint {
        (from + &self.prime - number) % &self.prime
    }

    /// The sum of two points of y² = x³ - 3x + b (SEC 1, section 2.2.1).
    fn add(&self, one: &Point, other: &Point) -> Point {
        let (Some([x1, y1]), Some([x2, y2])) = (one, other) else {
            return one.clone().or_else(|| other.clone());
        };
        let (rise, run) = if x1 == x2 {
            if y1 != y2 {
                return None;
            }
            (self.subtract(&(3_u8 * x1 * x1 % &self.prime), &BigUint::from(3_u8)), 2_u8 * y1)
        } else {
            (self.subtract(y2, y1), self.subtract(x2, x1))
        };
        let slope = rise * run.modinv(&self.prime)? % &self.prime;
        let square = &slope * &slope % &self.prime;
        let x = self.subtract(&self.subtract(&square, x1), x2);
        let y = self.subtract(&(slope * self.subtract(x1, &x) % &self.prime), y1);
        Some([x, y])
    }

    /// A point so many times, by doubling and adding.
    fn multiply(&self, point: &Point, times: &BigUint) -> Point {
        (0..times.bits()).rev().fold(None, |sum, bit| {
            let doubled = self.add(&sum, &sum);
            if times.bit(bit) { self.add(&doubled, point) } else { doubled }
        })
    }
}
