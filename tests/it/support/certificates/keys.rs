//! Public keys. RSA moduli are one byte repeated, which nobody checks, and points are the curves' base
//! points (SP 800-186, section 3.2.1); the hashes are openssl's.

use super::super::der::{bits, element, hex, integer, null, octets, oid, sequence};
use super::{Fixture, SERIAL, accepted, changed, disputed, identity, name, refused, unsupported};

pub const RSA_2048_HASH: &str = "60086cf4ed9f8f4335ac3050a06705772f48c85c4a45f95f825ccfeb34ed111d";
const RSA_3072_HASH: &str = "de1639acfdeceeb0a54bcfe31ad2b03f8fbb468ed704b5f4e205b8dfd57448d9";
const P224_HASH: &str = "0eb2c9e90b8f21864243f582da8b1824af650c4054fa1b3afebf4f53f363bbd1";
const P256_HASH: &str = "5cd252fb0ce8932436faf8ccd1040981b89ee4ad6b9fe9e2a2b7e71aacb27cd3";
const P384_HASH: &str = "29f8fe74f38c49d49810cec736a26732a30bff2e64827b709a1c63340d4f7181";
const P521_HASH: &str = "dcaa139396632a8daba1ba49ceccce0c417786f014698a06221b083d77754bda";
const ED25519_HASH: &str = "2933a757dde3cc79fc976e8e6ca347f38510ea4370bcd98940c857b3727fc3ba";

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";

const P224_POINT: &str = "04b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21bd376388b5f723fb4c22dfe6cd4375a05a07476444\
                          d5819985007e34";
const P256_POINT: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e16\
                          2bce33576b315ececbb6406837bf51f5";
const P384_POINT: &str = "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7\
                          3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
const P521_POINT: &str = "0400c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ff\
                          a8de3348b3c1856a429bf97e7e31c2e5bd66011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd1727\
                          3e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650";

pub fn fixtures() -> Vec<Fixture> {
    [known(), rsa(), ec(), others(), structure()].into_iter().flatten().collect()
}

/// RSA with this modulus and exponent, as the content of INTEGERs, and NULL parameters.
fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    key(&[oid(RSA), null()], &sequence(&[integer(modulus), integer(exponent)]))
}

pub fn rsa_2048() -> Vec<u8> {
    rsa_key(&modulus(256), &[1, 0, 1])
}

fn modulus(bytes: usize) -> Vec<u8> {
    [&[0][..], &vec![0xc5; bytes]].concat()
}

fn ec_key(curve: &str, point: &str) -> Vec<u8> {
    key(&[oid(EC), oid(curve)], &hex(point))
}

fn key(algorithm: &[Vec<u8>], encoded: &[u8]) -> Vec<u8> {
    sequence(&[sequence(algorithm), bits(encoded)])
}

fn with(key: Vec<u8>) -> Vec<u8> {
    changed(|parts| parts.key = key)
}

fn known() -> Vec<Fixture> {
    let fixture = |name, key, hash| identity(name, with(key), hash, SERIAL);
    vec![
        fixture("RSA 2048", rsa_2048(), RSA_2048_HASH),
        fixture("RSA 3072", rsa_key(&modulus(384), &[1, 0, 1]), RSA_3072_HASH),
        fixture("P-224", ec_key("1.3.132.0.33", P224_POINT), P224_HASH),
        fixture("P-256", ec_key(P256, P256_POINT), P256_HASH),
        fixture("P-384", ec_key("1.3.132.0.34", P384_POINT), P384_HASH),
        fixture("P-521", ec_key("1.3.132.0.35", P521_POINT), P521_HASH),
        fixture("Ed25519", key(&[oid("1.3.101.112")], &[0x5a; 32]), ED25519_HASH),
    ]
}

fn rsa() -> Vec<Fixture> {
    let numbers = || sequence(&[integer(&modulus(256)), integer(&[1, 0, 1])]);
    let parameters = "the RSA key's algorithm lacks the NULL parameters";
    let (positive, exponent) =
        ("the RSA key's modulus is not positive", "the RSA key's exponent is not positive");
    vec![
        refused("RSA without parameters", parameters, with(key(&[oid(RSA)], &numbers()))),
        refused("RSA with other parameters", parameters, with(key(&[oid(RSA), octets(&[])], &numbers()))),
        refused(
            "RSA with a NULL that has content",
            parameters,
            with(key(&[oid(RSA), element(5, &[0])], &numbers())),
        ),
        accepted("RSA with more after NULL", with(key(&[oid(RSA), null(), octets(b"more")], &numbers()))),
        refused("RSA modulus zero", positive, with(rsa_key(&[0], &[3]))),
        refused("RSA modulus negative", positive, with(rsa_key(&[0xc5; 256], &[3]))),
        refused("RSA modulus not minimally encoded", positive, with(rsa_key(&[0, 0x45], &[3]))),
        refused("RSA exponent zero", exponent, with(rsa_key(&modulus(256), &[0]))),
        refused("RSA exponent negative", exponent, with(rsa_key(&modulus(256), &[0xff]))),
        refused(
            "RSA exponent of 64 bits",
            "the RSA key's exponent is too large",
            with(rsa_key(&modulus(256), &hex("008000000000000000"))),
        ),
        identity(
            "RSA exponent of 63 bits",
            with(rsa_key(&modulus(256), &hex("7fffffffffffffff"))),
            "7e490c2546a7ae23e81538d9665ecf3e02e777b422cfcc06cc218c32d49efd63",
            SERIAL,
        ),
        identity(
            "RSA 8, even",
            with(rsa_key(&[0x46], &[2])),
            "7075d570e947a0e7147084885ab03aea6b0475c93534a0d26a8dccee01e709c1",
            SERIAL,
        ),
        accepted(
            "RSA with more after the exponent",
            with(key(&[oid(RSA), null()], &sequence(&[integer(&modulus(256)), integer(&[1, 0, 1]), null()]))),
        ),
        accepted(
            "RSA with more after the key",
            with(key(&[oid(RSA), null()], &[numbers(), vec![0xff]].concat())),
        ),
        refused(
            "RSA key that is no sequence",
            "the RSA key is malformed",
            with(key(&[oid(RSA), null()], &integer(&[3]))),
        ),
        refused("RSA key empty", "the RSA key is malformed", with(key(&[oid(RSA), null()], &[]))),
    ]
}

fn ec() -> Vec<Fixture> {
    let curve = "the EC key is on a curve that tbot does not know";
    let point = "the EC key is not an uncompressed point on its curve";
    let compressed = format!("03{}", &P256_POINT[2..66]);
    let off_curve = format!("{}f4", &P256_POINT[..128]);
    let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    // With x = 0, y² = b. The prime is another form of 0, which does not count.
    let with_x = |x: &str| {
        with(ec_key(P256, &format!("04{x}66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4")))
    };
    vec![
        refused("EC on brainpoolP256r1", curve, with(ec_key("1.3.36.3.3.2.8.1.1.7", P256_POINT))),
        refused("EC on secp256k1", curve, with(ec_key("1.3.132.0.10", P256_POINT))),
        refused(
            "EC with explicit parameters",
            "the EC key does not name its curve",
            with(key(&[oid(EC), sequence(&[integer(&[1])])], &hex(P256_POINT))),
        ),
        refused(
            "EC without parameters",
            "the EC key does not name its curve",
            with(key(&[oid(EC)], &hex(P256_POINT))),
        ),
        refused("EC compressed", point, with(ec_key(P256, &compressed))),
        refused("EC in hybrid form", point, with(ec_key(P256, &format!("07{}", &P256_POINT[2..])))),
        refused("EC at infinity", point, with(ec_key(P256, "00"))),
        refused("EC empty", point, with(ec_key(P256, ""))),
        refused("EC not on the curve", point, with(ec_key(P256, &off_curve))),
        refused("EC on another curve than named", point, with(ec_key("1.3.132.0.34", P256_POINT))),
        refused("EC with a byte more", point, with(ec_key(P256, &format!("{P256_POINT}00")))),
        identity(
            "EC with x = 0",
            with_x(&"0".repeat(64)),
            "69074e695de666eb6b7bb4614afaab35c36eec24e2adbb528fe90c3c70c2c398",
            SERIAL,
        ),
        refused("EC with a coordinate not below the prime", point, with_x(prime)),
    ]
}

fn others() -> Vec<Fixture> {
    let dsa = |y: &[u8], p: &[u8]| {
        key(&[oid("1.2.840.10040.4.1"), sequence(&[integer(p), integer(&[3]), integer(&[5])])], &integer(y))
    };
    let ed25519 = "the Ed25519 key is malformed";
    let malformed = "the DSA key is malformed";
    let rsa_numbers = sequence(&[integer(&modulus(256)), integer(&[1, 0, 1])]);
    vec![
        refused("Ed25519 with parameters", ed25519, with(key(&[oid("1.3.101.112"), null()], &[0x5a; 32]))),
        refused("Ed25519 of 31 bytes", ed25519, with(key(&[oid("1.3.101.112")], &[0x5a; 31]))),
        unsupported("id-RSAES-OAEP", with(key(&[oid("1.2.840.113549.1.1.7"), null()], &rsa_numbers))),
        unsupported("RSASSA-PSS", with(key(&[oid("1.2.840.113549.1.1.10")], &rsa_numbers))),
        unsupported("X25519", with(key(&[oid("1.3.101.110")], &[0x5a; 32]))),
        unsupported(
            "X25519 with parameters and too short",
            with(key(&[oid("1.3.101.110"), null()], &[0x5a])),
        ),
        unsupported("unknown type with nonsense in it", with(key(&[oid("1.2.3.4"), null()], b"nonsense"))),
        unsupported("DSA", with(dsa(&[7], &[11]))),
        refused("DSA with y zero", malformed, with(dsa(&[0], &[11]))),
        refused("DSA with p negative", malformed, with(dsa(&[7], &[0xff]))),
        refused("DSA without parameters", malformed, with(key(&[oid("1.2.840.10040.4.1")], &integer(&[7])))),
        disputed(
            "ML-DSA-44, which Go 1.27 hashes",
            with(key(&[oid("2.16.840.1.101.3.4.3.17")], &[0x5a; 1312])),
        ),
        refused(
            "ML-DSA-65 malformed, and a name that only Go 1.27 takes",
            "the ML-DSA key is malformed",
            changed(|parts| {
                parts.issuer = name(&[("2.5.4.3", null())]);
                parts.key = key(&[oid("2.16.840.1.101.3.4.3.18")], &[0x5a]);
            }),
        ),
        disputed(
            "ML-DSA-65 malformed, which Go 1.27 refuses",
            with(key(&[oid("2.16.840.1.101.3.4.3.18")], &[0x5a])),
        ),
    ]
}

fn structure() -> Vec<Fixture> {
    let malformed = "the public key is malformed";
    let algorithm = || sequence(&[oid(RSA), null()]);
    let numbers = sequence(&[integer(&modulus(256)), integer(&[1, 0, 1])]);
    // The key two bits to the left, where its first two bits were zero, as a bit string that says so.
    let after = numbers.iter().skip(1).chain([&0]);
    let shifted: Vec<u8> = numbers.iter().zip(after).map(|(byte, next)| byte << 2 | next >> 6).collect();
    vec![
        accepted(
            "key with unused bits",
            with(sequence(&[algorithm(), element(3, &[&[2][..], &shifted].concat())])),
        ),
        accepted("more after the key's bits", with(sequence(&[algorithm(), bits(&numbers), null()]))),
        refused(
            "key with unused bits that are set",
            malformed,
            with(sequence(&[algorithm(), element(3, &[1, 0xff])])),
        ),
        refused("key with 8 unused bits", malformed, with(sequence(&[algorithm(), element(3, &[8, 0])]))),
        refused("key that is no bit string", malformed, with(sequence(&[algorithm(), octets(&numbers)]))),
        refused("key without an algorithm", malformed, with(sequence(&[sequence(&[]), bits(&numbers)]))),
        refused("key that is no sequence", malformed, with(bits(&numbers))),
    ]
}
