"""Makes a private authority known to Chromium, which takes no such file: a certificate database of NSS in a HOME.

    python worker/authorities.py HOME FILE...

On Linux Chromium trusts, beside its own store, the authorities that its user has put into the NSS database under HOME
(measured with 156). So each worker's browser gets a HOME of its own with just those that the recipe names, and goes on
checking names, dates and chains itself. The database is written by the library that Chromium itself is linked with;
the tool of that name, certutil, is seldom installed. It runs as a process of its own, because it is foreign code.

Source of the numbers: NSS, `lib/certdb/certdb.h` (CERTDB_VALID_CA, CERTDB_TRUSTED_CA).
"""

import ctypes
import re
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_LIBRARY = "libnss3.so"
_DATABASE = Path(".pki") / "nssdb"
_TRUSTED_AUTHORITY = (1 << 3) | (1 << 4)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_DEADLINE = 30.0


class AuthoritiesError(Exception):
    """The database could not be made; the sentence says why."""


def install(home: Path, files: Sequence[str]) -> None:
    """Have a browser whose HOME is `home`, which is made, trust the authorities in these PEM files.

    Raises:
        AuthoritiesError: it cannot be.
    """
    home.mkdir(parents=True, exist_ok=True)
    try:
        outcome = subprocess.run(
            [sys.executable, __file__, str(home), *files],
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuthoritiesError(f"the authorities cannot be made known to the browser: {error}") from error
    if outcome.returncode:
        said = outcome.stderr.strip().rpartition("\n")[2]
        raise AuthoritiesError(f"the authorities cannot be made known to the browser: {said}")


class _Item(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("data", ctypes.c_void_p), ("length", ctypes.c_uint))


class _Trust(ctypes.Structure):
    _fields_ = (("tls", ctypes.c_uint), ("mail", ctypes.c_uint), ("code", ctypes.c_uint))


def _write(database: Path, certificates: list[bytes]) -> None:
    nss = _library()
    _check(nss.NSS_InitReadWrite(f"sql:{database}".encode()), "open the database")
    slot = nss.PK11_GetInternalKeySlot()
    if nss.PK11_NeedUserInit(slot):
        _check(nss.PK11_InitPin(slot, None, b""), "set the database up")
    store = nss.CERT_GetDefaultCertDB()
    for number, content in enumerate(certificates):
        held = ctypes.create_string_buffer(content, len(content))
        item = _Item(0, ctypes.cast(held, ctypes.c_void_p), len(content))
        certificate = nss.CERT_NewTempCertificate(store, ctypes.byref(item), None, 0, 1)
        _check(0 if certificate else 1, "read a certificate")
        _check(nss.PK11_ImportCert(slot, certificate, 0, b"authority %d" % number, 0), "add a certificate")
        trust = _Trust(_TRUSTED_AUTHORITY, 0, 0)
        _check(nss.CERT_ChangeCertTrust(store, certificate, ctypes.byref(trust)), "trust a certificate")
        nss.CERT_DestroyCertificate(certificate)
    nss.PK11_FreeSlot(slot)
    _check(nss.NSS_Shutdown(), "close the database")


def _library() -> ctypes.CDLL:
    nss = ctypes.CDLL(_LIBRARY)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    nss.PK11_GetInternalKeySlot.restype = nss.CERT_GetDefaultCertDB.restype = pointer
    nss.CERT_NewTempCertificate.restype = pointer
    nss.CERT_NewTempCertificate.argtypes = [pointer, ctypes.POINTER(_Item), text, ctypes.c_int, ctypes.c_int]
    nss.PK11_NeedUserInit.argtypes = nss.PK11_FreeSlot.argtypes = nss.CERT_DestroyCertificate.argtypes = [pointer]
    nss.PK11_InitPin.argtypes = [pointer, text, text]
    nss.PK11_ImportCert.argtypes = [pointer, pointer, ctypes.c_ulong, text, ctypes.c_int]
    nss.CERT_ChangeCertTrust.argtypes = [pointer, pointer, ctypes.POINTER(_Trust)]
    return nss


def _check(status: int, what: str) -> None:
    if status:
        raise AuthoritiesError(f"{_LIBRARY} could not {what}")


def main() -> int:
    """Write the database; return the exit code, with one line on standard error when it cannot be written."""
    home, *files = sys.argv[1:]
    database = Path(home) / _DATABASE
    try:
        database.mkdir(parents=True, exist_ok=True)
        found = [pem for file in files for pem in _CERTIFICATE.findall(Path(file).read_text("ascii"))]
        _write(database, [ssl.PEM_cert_to_DER_cert(pem) for pem in found])
    except (OSError, ValueError, AuthoritiesError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
