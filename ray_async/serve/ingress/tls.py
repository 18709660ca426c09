"""TLS: whether its files are what they shall be, said before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

from ray_async.serve.config import HTTPOptions
from ray_async.serve.exceptions import RayServeException

__all__ = ("check_tls",)

_NO_MATCH = "KEY_VALUES_MISMATCH"


def check_tls(http: HTTPOptions) -> None:
    """Load what the options name.

    Raises:
        RayServeException: A file that is missing, a wrong password, a key of another certificate; the message names
            the file.
    """
    if http.ssl_certfile is None or http.ssl_keyfile is None:
        return
    for path in filter(None, (http.ssl_certfile, http.ssl_keyfile, http.ssl_ca_certs)):
        try:
            open(path, "rb").close()
        except OSError as error:
            raise RayServeException(f"TLS: {path} cannot be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a function for it, OpenSSL would ask the terminal for a password.
        context.load_cert_chain(http.ssl_certfile, http.ssl_keyfile, lambda: http.ssl_keyfile_password or "")
    except ssl.SSLError as error:
        raise RayServeException(_reason(http, error)) from None
    if http.ssl_ca_certs is not None:
        try:
            context.load_verify_locations(http.ssl_ca_certs)
        except ssl.SSLError as error:
            raise RayServeException(f"TLS: {http.ssl_ca_certs} holds no certificates: {error}") from None


def _reason(http: HTTPOptions, error: ssl.SSLError) -> str:
    if error.reason == _NO_MATCH:
        return f"TLS: the key {http.ssl_keyfile} and the certificate {http.ssl_certfile} do not belong together"
    if "ENCRYPTED" in Path(http.ssl_keyfile or "").read_text(errors="replace"):  # OpenSSL has many reasons for that
        what = "is wrong" if http.ssl_keyfile_password else "is missing"
        return f"TLS: the password of the key {http.ssl_keyfile} {what}"
    return f"TLS: {http.ssl_certfile} or {http.ssl_keyfile} does not hold what it shall: {error}"
