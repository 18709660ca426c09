"""Credentials of a cluster: an authority of its own, and a certificate for each process that takes part.

Peers are known by the authority that signed them, not by their address: a certificate holds wherever its machine moves.
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ray_async.frozen import Record

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ("Certificate", "Credentials", "create_credentials", "load_credentials")

_AUTHORITY_DAYS, _MEMBER_DAYS = 3650, 365
_CLOCK_SKEW = datetime.timedelta(days=1)  # machines whose clocks are apart still believe each other


class Credentials(Record):
    """What a machine needs to take part in a cluster.

    Attributes:
        cluster: the cluster's name, of 16 hexadecimal digits.
        authority: the authority's certificate, as PEM.
        key: the authority's private key, as PEM: who has it can join.
    """

    cluster: str
    authority: str
    key: str

    def issue(self, name: str) -> Certificate:
        """Make a certificate for one process, signed by the authority.

        Args:
            name: the process's name in it, for people who look.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        signer = serialization.load_pem_private_key(self.key.encode(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        authority = x509.load_pem_x509_certificate(self.authority.encode())
        key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(f"{name[:40]}.{self.cluster}", authority.subject, key, _MEMBER_DAYS)
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return Certificate(_pem(built.sign(signer, hashes.SHA256())), _private_pem(key))


class Certificate(Record):
    """A process's certificate and its private key, as PEM."""

    certificate: str
    key: str


def create_credentials(path: Path) -> Credentials:
    """Make a cluster's authority, and write it to a file that only its owner can read.

    Raises:
        OSError: the file cannot be written.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    cluster = secrets.token_hex(8)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ray_async cluster {cluster}")])
    built = _builder(f"ray_async cluster {cluster}", subject, key, _AUTHORITY_DAYS)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = Credentials(cluster, _pem(built.sign(key, hashes.SHA256())), _private_pem(key))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # owner-only from the start
    with open(descriptor, "w") as file:
        json.dump(made.as_dict(), file)
    os.replace(name, path)
    return made


def load_credentials(path: Path) -> Credentials:
    """Read a cluster's credentials.

    Raises:
        FileNotFoundError: there is no such file; the message says how to get one.
        PermissionError: others than its owner can read it.
        ValueError: it is no such file.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"{path} can be read by others than its owner: chmod 600 {path}")
        return Credentials(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there are no credentials of the cluster at {path}. `ray_async start --head --cluster` has made them on "
            "the head's machine: copy that file here, and name it with --cluster-credentials"
        ) from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no credentials of a cluster") from error


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
