//! The curves that Go knows, and whether a point is on one.
//!
//! The points are public, so nothing here needs to take the same time for every point.

use num_bigint::BigUint;

use super::super::der::Oid;

/// A curve y² = x³ - 3x + b over the integers modulo a prime (FIPS 186-5 and SP 800-186, section 3.2.1).
#[derive(Debug)]
pub struct Curve {
    /// `P-256`
    pub name: &'static str,
    /// The content of its object identifier in DER.
    pub oid: &'static [u8],
    /// Bytes of a coordinate.
    pub size: usize,
    /// Big-endian, like `b`.
    prime: &'static [u8],
    b: &'static [u8],
}

/// P-224, P-256, P-384 and P-521, with the object identifiers of RFC 5480, section 2.1.1.1.
static CURVES: [Curve; 4] = [
    Curve {
        name: "P-224",
        oid: b"\x2b\x81\x04\x00\x21",
        size: 28,
        prime: b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\
             \x00\x00\x00\x00\x00\x01",
        b: b"\xb4\x05\x0a\x85\x0c\x04\xb3\xab\xf5\x41\x32\x56\x50\x44\xb0\xb7\xd7\xbf\xd8\xba\x27\x0b\
             \x39\x43\x23\x55\xff\xb4",
    },
    Curve {
        name: "P-256",
        oid: b"\x2a\x86\x48\xce\x3d\x03\x01\x07",
        size: 32,
        prime: b"\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\
             \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b: b"\x5a\xc6\x35\xd8\xaa\x3a\x93\xe7\xb3\xeb\xbd\x55\x76\x98\x86\xbc\x65\x1d\x06\xb0\xcc\x53\
             \xb0\xf6\x3b\xce\x3c\x3e\x27\xd2\x60\x4b",
    },
    Curve {
        name: "P-384",
        oid: b"\x2b\x81\x04\x00\x22",
        size: 48,
        prime: b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
             \xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\
             \xff\xff\xff\xff",
        b: b"\xb3\x31\x2f\xa7\xe2\x3e\xe7\xe4\x98\x8e\x05\x6b\xe3\xf8\x2d\x19\x18\x1d\x9c\x6e\xfe\x81\
             \x41\x12\x03\x14\x08\x8f\x50\x13\x87\x5a\xc6\x56\x39\x8d\x8a\x2e\xd1\x9d\x2a\x85\xc8\xed\
             \xd3\xec\x2a\xef",
    },
    Curve {
        name: "P-521",
        oid: b"\x2b\x81\x04\x00\x23",
        size: 66,
        prime: b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
             \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
             \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b: b"\x00\x51\x95\x3e\xb9\x61\x8e\x1c\x9a\x1f\x92\x9a\x21\xa0\xb6\x85\x40\xee\xa2\xda\x72\x5b\
             \x99\xb3\x15\xf3\xb8\xb4\x89\x91\x8e\xf1\x09\xe1\x56\x19\x39\x51\xec\x7e\x93\x7b\x16\x52\
             \xc0\xbd\x3b\xb1\xbf\x07\x35\x73\xdf\x88\x3d\x2c\x34\xf1\xef\x45\x1f\xd4\x6b\x50\x3f\x00",
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
        let [prime, b] = [self.prime, self.b].map(BigUint::from_bytes_be);
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
