"""EK certificates for a fleet that does not exist, and what verifying their signatures costs.

Everything is made from numbers, so that every run measures the same, but for RSA issuers: their keys are made anew.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SIGNED = ec.ECDSA(hashes.SHA384())
_TPM = [("2.23.133.2.1", "id:414D4400"), ("2.23.133.2.2", "Benchmark"), ("2.23.133.2.3", "id:00030001")]
_DAY = datetime.datetime(2026, 1, 1)
_END = datetime.datetime(2126, 1, 1)


@dataclass
class Issuer:
    """A vendor's CA, with a P-384 key or an RSA one."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return _signed(builder, self.key)


def issuers(count: int) -> list[Issuer]:
    """CAs with P-384 keys, each its own root."""
    return [_ca(f"Benchmark EK CA {number}", number + 1, _p384_key(number)) for number in range(count)]


def rsa_issuers(sizes: list[int]) -> tuple[Issuer, list[Issuer]]:
    """A root with an RSA 4096 key, and CAs below it with RSA keys of these sizes."""
    root = _ca("Benchmark Root CA", 1, _rsa_key(4096))
    return root, [
        _ca(f"Benchmark RSA EK CA {number}", number + 2, _rsa_key(bits), root) for number, bits in enumerate(sizes)
    ]


def _p384_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(_number(f"issuer {number}", 380), ec.SECP384R1())


def _rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def _ca(called: str, serial: int, key, parent: Issuer | None = None) -> Issuer:
    """A CA that its parent issued, or else itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, called)])
    issuer = parent.certificate.subject if parent else name
    builder = _builder(issuer, name, serial, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True), critical=True)
    return Issuer(key, _signed(builder, parent.key if parent else key))


def _signed(builder: x509.CertificateBuilder, key) -> x509.Certificate:
    if isinstance(key, rsa.RSAPrivateKey):
        return builder.sign(key, hashes.SHA256())
    return builder.sign(key, hashes.SHA384(), ecdsa_deterministic=True)


def ek_certificate(issuer: Issuer, number: int) -> x509.Certificate:
    """The certificate of an RSA 2048 EK of its own, with what manufacturers put in. Nobody knows that key's factors, and
    nobody needs them."""
    modulus = 1 << 2047 | _number(f"modulus {number}", 2047) | 1
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    serial = 1 << 158 | _number(f"serial {number}", 158)
    builder = _builder(issuer.certificate.subject, x509.Name([]), serial, key)
    for extension, critical in _ek_extensions(issuer):
        builder = builder.add_extension(extension, critical)
    return issuer.sign(builder)


def _ek_extensions(issuer: Issuer) -> list[tuple[x509.ExtensionType, bool]]:
    """Those of the TCG EK Credential Profile 2.0, section 3.2."""
    tpm = x509.Name([x509.NameAttribute(x509.ObjectIdentifier(oid), text) for oid, text in _TPM])
    link = x509.UniformResourceIdentifier("https://ca.example.com/ek/issuing.crt")
    return [
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False),
        (x509.SubjectAlternativeName([x509.DirectoryName(tpm)]), True),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(key_encipherment=True), True),
        (x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.133.8.1")]), False),
        (x509.AuthorityInformationAccess([x509.AccessDescription(x509.AuthorityInformationAccessOID.CA_ISSUERS, link)]),
         False),
    ]


def identity(description: str, certificate: x509.Certificate) -> dict[str, object]:
    """What `identify` answers of a TPM with this certificate, as far as preflight takes it."""
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "description": description,
        "ek_public_hash": hashlib.sha256(key).hexdigest(),
        "ek_cert_serial": certificate.serial_number.to_bytes(20, "big").hex(":"),
        "ek_cert_pem": pem(certificate),
        "ek_cert_present": True,
    }


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def verify_by_openssl(certificates: list[tuple[Issuer, x509.Certificate]]) -> float:
    """Seconds for the signatures alone, by OpenSSL, which is behind `cryptography`."""
    prepared = [
        (issuer.certificate.public_key(), certificate.signature, certificate.tbs_certificate_bytes)
        for issuer, certificate in certificates
    ]
    started = time.perf_counter()
    for key, signature, signed in prepared:
        key.verify(signature, signed, SIGNED)
    return time.perf_counter() - started


def _builder(issuer: x509.Name, subject: x509.Name, serial: int, key) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().issuer_name(issuer).subject_name(subject).serial_number(serial)
    return builder.not_valid_before(_DAY).not_valid_after(_END).public_key(key)


def _usage(key_cert_sign: bool = False, key_encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=key_encipherment, data_encipherment=False,
        key_agreement=False, key_cert_sign=key_cert_sign, crl_sign=False, encipher_only=False, decipher_only=False,
    )


def _number(seed: str, bits: int) -> int:
    """A number below 2^bits, always the same for one seed."""
    return int.from_bytes(hashlib.shake_256(seed.encode()).digest(bits // 8 + 1), "big") >> (8 - bits % 8)
