"""A certificate authority of the tests' own, and the certificates that it signs."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.servers import HOST

DAY = timedelta(days=1)
SIGNS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Signs certificates; `certificate` is the file that others trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = folder / f"{name}.pem"
        made = self._begun(self._name, self._key, datetime.now(UTC) + DAY)
        for extension in (x509.BasicConstraints(ca=True, path_length=None), SIGNS):
            made = made.add_extension(extension, critical=True)
        signed = made.sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, hosts: Sequence[str] = (HOST,), lasts: timedelta = DAY
    ) -> tuple[Path, Path]:
        """Write `name.pem` and `name.key`, in place of those there are."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + lasts
        alternatives = x509.SubjectAlternativeName([_host(each) for each in hosts])
        made = self._begun(_named(name), key, until).add_extension(alternatives, critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        paths = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
    ) -> x509.CertificateBuilder:
        # Python 3.13 and later trust no certificate that lacks the two identifiers.
        ours, signers = key.public_key(), self._key.public_key()
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signers)
        return (
            x509.CertificateBuilder()
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(ours), critical=False)
            .add_extension(authority, critical=False)
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(ours)
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - 2 * DAY)
            .not_valid_after(until)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
