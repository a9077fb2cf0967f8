"""Which login was tried last in a run directory, so that one that the site refused is not tried again and again.

What is kept is a salted, slow hash (scrypt, RFC 7914) of the recipe and of the values of its secrets; that the login
was refused stands in the ledger, from the moment of the refusal on. So neither a crash nor a service manager that
starts the run again makes a second try with the same password; another password or recipe is tried without a word.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from supervisor.errors import Exit, UserError
from supervisor.shell import files
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory, RunDirectoryUnwritableError, atomic_write

_LARGEST = 64 * 1024


class RefusedBeforeError(UserError):
    """The site refused this very login before."""

    exit_code = Exit.LOGIN_REFUSED


class Credentials(msgspec.Struct, frozen=True):
    """What a login is tried with, unreadable."""

    salt: str
    digest: str
    """Both in hexadecimal digits."""


def credentials(run: RunDirectory, site: str, names: Sequence[str], environ: Mapping[str, str]) -> Credentials:
    """Return the credentials with which this site would be tried, comparable to those that were tried last.

    Args:
        run: where they may have been tried.
        site: the recipe, as `recipes.absolute` returns it.
        names: of the recipe's secrets.
        environ: holds their values, or the names of their files as ``<name>_FILE``.
    """
    known = _last(run)
    salt = known.salt if known else secrets.token_hex(16)
    digest = hashlib.sha256()
    for part in (_recipe(site), *(_value(name, environ) for name in names)):
        digest.update(len(part).to_bytes(8, "big") + part)
    slow = hashlib.scrypt(digest.digest(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1)
    return Credentials(salt, slow.hex())


def check(run: RunDirectory, tried: Credentials) -> None:
    """Make sure that the site has not refused this login; to be called before anybody logs in.

    Raises:
        RefusedBeforeError: it has.
    """
    known = _last(run)
    if known is None or not hmac.compare_digest(known.digest, tried.digest):
        return
    with LedgerReader(run.ledger) as ledger:
        refusal = ledger.last_login()
    if refusal is not None and refusal.what == "login_refused":
        raise RefusedBeforeError(
            f"{refusal.detail} (on {refusal.at[:16].replace('T', ' at ')} UTC); it is not tried again with the same "
            "user and password, so that no account is locked: correct them, or say --try-login-again"
        )


def remember(run: RunDirectory, tried: Credentials) -> None:
    """Write down with what somebody is about to log in.

    Raises:
        RunDirectoryUnwritableError: it cannot be written.
    """
    try:
        atomic_write(run.login, msgspec.json.encode(tried), via=run.path)
    except OSError as error:
        raise RunDirectoryUnwritableError(f"{run.login} cannot be written: {error.strerror or error}") from error


def _last(run: RunDirectory) -> Credentials | None:
    try:
        known = msgspec.json.decode(files.read(run.login, _LARGEST), type=Credentials)
        bytes.fromhex(known.salt)
    except (OSError, ValueError, msgspec.DecodeError):  # none yet, or none that anybody can compare with
        return None
    return known


def _recipe(site: str) -> bytes:
    path = site.rpartition(":")[0] if not site.endswith(".toml") else site
    try:
        return Path(path).read_bytes() if path else site.encode()
    except OSError:  # it was read a moment ago; without it the name has to do
        return site.encode()


def _value(name: str, environ: Mapping[str, str]) -> bytes:
    if value := environ.get(name):
        return value.encode("utf-8", "surrogateescape")
    try:
        return files.read(Path(environ.get(f"{name}_FILE", "")), _LARGEST).rstrip(b"\r\n")
    except OSError:  # the command line has checked that it is there; whoever logs in says what is wrong with it
        return b""
