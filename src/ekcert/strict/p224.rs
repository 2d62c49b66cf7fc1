//! Whether a point is on P-224 (SP 800-186, section 3.2.1.2), which aws-lc does not have.
//!
//! The points are public, so nothing here needs to take the same time for every point.

/// Bytes of a coordinate.
pub const SIZE: usize = 28;

/// A number below 2^225, by its digits in base 2^64, the highest first.
type Number = [u64; 4];

/// 2^224 - 2^96 + 1.
const PRIME: Number = [0xffff_ffff, u64::MAX, 0xffff_ffff_0000_0000, 1];
const B: Number = [0xb405_0a85, 0x0c04_b3ab_f541_3256, 0x5044_b0b7_d7bf_d8ba, 0x270b_3943_2355_ffb4];

/// Whether these coordinates, big-endian, are those of a point: y² = x³ - 3x + b modulo the prime.
pub fn has_point(x: &[u8], y: &[u8]) -> bool {
    let (Some(x), Some(y)) = (number(x), number(y)) else { return false };
    let thrice = sum(x, sum(x, x));
    // y² + 3x = x³ + b, so that nothing is taken away from what may be less.
    sum(product(y, y), thrice) == sum(product(product(x, x), x), B)
}

/// A coordinate, where it is below the prime.
fn number(bytes: &[u8]) -> Option<Number> {
    let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
    let mut number = [0; 4];
    for (index, byte) in bytes.iter().enumerate() {
        // The first digit has four bytes.
        let digit = &mut number[(index + 4) / 8];
        *digit = (*digit << 8) | u64::from(*byte);
    }
    (number < PRIME).then_some(number)
}

/// The sum modulo the prime of two numbers that are below it.
fn sum(one: Number, other: Number) -> Number {
    let sum = added(one, other, false);
    if sum < PRIME { sum } else { added(sum, PRIME.map(|digit| !digit), true) }
}

/// The sum modulo 2^256, and one more where there is a carry at first.
fn added(one: Number, other: Number, mut carry: bool) -> Number {
    let mut sum = [0; 4];
    for (digit, (one, other)) in sum.iter_mut().zip(one.into_iter().zip(other)).rev() {
        let (without_carry, overflows) = one.overflowing_add(other);
        let (with_carry, overflows_by_carry) = without_carry.overflowing_add(carry.into());
        (*digit, carry) = (with_carry, overflows || overflows_by_carry);
    }
    sum
}

/// The product modulo the prime, bit by bit.
fn product(one: Number, other: Number) -> Number {
    let bits = other.iter().flat_map(|digit| (0..u64::BITS).rev().map(move |bit| (digit >> bit) & 1 == 1));
    bits.fold([0; 4], |product, is_set| {
        let twice = sum(product, product);
        if is_set { sum(twice, one) } else { twice }
    })
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::{B, Number, PRIME, SIZE, has_point, number, product, sum};

    fn big(number: Number) -> BigUint {
        BigUint::from_bytes_be(&number.map(u64::to_be_bytes).concat())
    }

    #[test]
    fn the_base_point_is_on_the_curve_and_its_neighbours_are_not() {
        let x = b"\xb7\x0e\x0c\xbd\x6b\xb4\xbf\x7f\x32\x13\x90\xb9\x4a\x03\xc1\xd3\x56\xc2\x11\x22\x34\x32\x80\xd6\x11\x5c\x1d\x21";
        let y = *b"\xbd\x37\x63\x88\xb5\xf7\x23\xfb\x4c\x22\xdf\xe6\xcd\x43\x75\xa0\x5a\x07\x47\x64\x44\xd5\x81\x99\x85\x00\x7e\x34";
        assert!(has_point(x, &y));
        for index in 0..SIZE {
            let mut other = y;
            other[index] ^= 1;
            assert!(!has_point(x, &other), "{index}");
        }
        assert!(!has_point(&x[1..], &y));
        let prime = &big(PRIME).to_bytes_be()[..];
        assert!(!has_point(prime, &y) && !has_point(&[0xff; SIZE], &y), "not below the prime");
    }

    #[test]
    fn sums_and_products_are_those_modulo_the_prime() {
        let prime = big(PRIME);
        let numbers: Vec<Number> = [[0; SIZE], [0x7f; SIZE], [0xfe; SIZE], [1; SIZE], [0x80; SIZE]]
            .iter()
            .map(|bytes| number(bytes).unwrap())
            .chain([B, [0, 0, 0, 1], [0xffff_ffff, u64::MAX, 0xffff_ffff_0000_0000, 0]])
            .collect();
        for one in &numbers {
            for other in &numbers {
                assert_eq!(big(sum(*one, *other)), (big(*one) + big(*other)) % &prime);
                assert_eq!(big(product(*one, *other)), big(*one) * big(*other) % &prime);
            }
        }
    }
}
