"""Makes an EK certificate as swtpm's local CA does, and adds a link to the CA's own certificate, which manufacturers' EK
certificates have and swtpm's have not (Authority Information Access, RFC 5280, section 4.2.2.1).

swtpm_setup runs it in place of swtpm_localca: linked_ek_certificate.py URL LOCALCA CA ARGUMENT..., where LOCALCA is that
program, CA the folder in which it keeps its key, and the arguments are swtpm_setup's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


def main(url: str, local_ca: str, ca: str, *arguments: str) -> None:
    subprocess.run([local_ca, *arguments], check=True)
    if arguments[arguments.index("--type") + 1] != "ek":
        return
    path = Path(arguments[arguments.index("--dir") + 1], "ek.cert")
    key = serialization.load_pem_private_key(Path(ca, "signkey.pem").read_bytes(), password=None)
    linked = with_link(x509.load_der_x509_certificate(path.read_bytes()), url).sign(key, hashes.SHA256())
    path.write_bytes(linked.public_bytes(serialization.Encoding.DER))


def with_link(certificate: x509.Certificate, url: str) -> x509.CertificateBuilder:
    """The same certificate with the link, to be signed."""
    builder = x509.CertificateBuilder(
        certificate.issuer, certificate.subject, certificate.public_key(), certificate.serial_number,
        certificate.not_valid_before_utc, certificate.not_valid_after_utc,
    )  # fmt: skip
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    link = x509.AccessDescription(x509.AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url))
    return builder.add_extension(x509.AuthorityInformationAccess([link]), critical=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
