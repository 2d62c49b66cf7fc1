//! The curves that Go knows, and whether a point is on one.
//!
//! The points are public, so nothing here needs to take the same time for every point.

use num_bigint::BigUint;

use super::super::der::Oid;

/// A curve y² = x³ - 3x + b over the integers modulo a prime (FIPS 186-5 and SP 800-186, section 3.2.1).
pub struct Curve {
    /// `P-256`
    pub name: &'static str,
    /// The content of its object identifier in DER.
    pub oid: &'static [u8],
    /// Bytes of a coordinate.
    pub size: usize,
    /// Hexadecimal.
    prime: &'static str,
    /// Hexadecimal.
    b: &'static str,
}

/// P-224, P-256, P-384 and P-521, with the object identifiers of RFC 5480, section 2.1.1.1.
static CURVES: [Curve; 4] = [
    Curve {
        name: "P-224",
        oid: b"\x2b\x81\x04\x00\x21",
        size: 28,
        prime: "ffffffffffffffffffffffffffffffff000000000000000000000001",
        b: "b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4",
    },
    Curve {
        name: "P-256",
        oid: b"\x2a\x86\x48\xce\x3d\x03\x01\x07",
        size: 32,
        prime: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        b: "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    },
    Curve {
        name: "P-384",
        oid: b"\x2b\x81\x04\x00\x22",
        size: 48,
        prime: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        b: "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    },
    Curve {
        name: "P-521",
        oid: b"\x2b\x81\x04\x00\x23",
        size: 66,
        prime: "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
             ffffffffffffffffffffffffffffffffffff",
        b: "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1\
             bf073573df883d2c34f1ef451fd46b503f00",
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
        let [x, y] = [x, y].map(BigUint::from_bytes_be);
        let [Some(prime), Some(b)] =
            [self.prime, self.b].map(|digits| BigUint::parse_bytes(digits.as_bytes(), 16))
        else {
            return false;
        };
        // y² + 3x = x³ + b, so that nothing is taken away from what may be less.
        x < prime && y < prime && (&y * &y + 3_u8 * &x) % &prime == (&x * &x * &x + b) % &prime
    }
}

#[cfg(test)]
mod tests {
    use super::CURVES;

    #[test]
    fn the_curves_have_the_points_that_they_should() {
        // SP 800-186, section 3.2.1: the base point of P-256.
        let x = b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\
                  \x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96";
        let mut y = *b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\
                       \x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";
        let point = |y: &[u8]| [&[4], &x[..], y].concat();
        assert!(CURVES[1].has_point(&point(&y)));
        assert!(!CURVES[1].has_point(&point(&y[1..])));
        assert!(!CURVES[0].has_point(&point(&y)));
        y[31] ^= 1;
        assert!(!CURVES[1].has_point(&point(&y)));
    }
}
