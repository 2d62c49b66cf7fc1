//! The curves that Go knows, and whether a point is on one.

use aws_lc_rs::signature::{self as aws, EcdsaVerificationAlgorithm, ParsedPublicKey};

use super::super::der::Oid;
use super::p224;

/// A curve (SP 800-186, section 3.2.1).
#[derive(Debug)]
pub struct Curve {
    /// `P-256`
    pub name: &'static str,
    /// The content of its object identifier in DER.
    pub oid: &'static [u8],
    /// Bytes of a coordinate.
    pub size: usize,
    /// By which aws-lc takes keys on it, where it does.
    keys: Option<&'static EcdsaVerificationAlgorithm>,
}

/// P-224, P-256, P-384 and P-521, with the object identifiers of RFC 5480, section 2.1.1.1.
static CURVES: [Curve; 4] = [
    Curve { name: "P-224", oid: b"\x2b\x81\x04\x00\x21", size: p224::SIZE, keys: None },
    Curve {
        name: "P-256",
        oid: b"\x2a\x86\x48\xce\x3d\x03\x01\x07",
        size: 32,
        keys: Some(&aws::ECDSA_P256_SHA256_ASN1),
    },
    Curve { name: "P-384", oid: b"\x2b\x81\x04\x00\x22", size: 48, keys: Some(&aws::ECDSA_P384_SHA384_ASN1) },
    Curve { name: "P-521", oid: b"\x2b\x81\x04\x00\x23", size: 66, keys: Some(&aws::ECDSA_P521_SHA512_ASN1) },
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
        match self.keys {
            Some(keys) => ParsedPublicKey::new(keys, point).is_ok(),
            None => p224::has_point(x, y),
        }
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
