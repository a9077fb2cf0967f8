"""What a recipe says about the way to its site: HTTP basic authentication, proxy, client certificate, authorities.

Plain data; `worker.gateway` makes it work. User names, passwords and passphrases are given by the names of their
secrets, never by their values.
"""

import ssl
import stat
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SCHEMES = ("http", "https", "socks5")


class BasicAuth(msgspec.Struct, frozen=True, kw_only=True):
    """User and password for HTTP basic authentication (RFC 7617), sent to one origin only."""

    user: str
    """Name of the secret."""
    password: str
    """Name of the secret."""
    origin: str = ""
    """``https://lot.example``; that of the recipe's `start_url` when empty."""


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """The proxy through which the browser and all fetches of documents go."""

    server: str
    """``http://proxy.example:3128`` or ``socks5://…``; Chromium knows no password for SOCKS."""
    user: str = ""
    """Name of the secret; empty for a proxy that asks for none."""
    password: str = ""
    """Name of the secret."""
    bypass: str = ""
    """Hosts that are asked directly, separated by commas: ``.lot.example, localhost``."""


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate by which the browser proves who it is.

    Playwright checks the certificates of the named origins, and of no other (measured, 1.65). So nothing but these
    origins' hosts is reached while there is a client certificate.
    """

    certificate: str
    """Path of a PEM file, with the chain that the site wants."""
    key: str
    """Path of a PEM file that only its owner can read."""
    passphrase: str = ""
    """Name of the secret that opens the key; empty for a key without one."""
    origins: tuple[str, ...] = ()
    """``https://lot.example``, …; that of the recipe's `start_url` when empty."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the way to a site; nothing of it for most sites."""

    basic_auth: BasicAuth | None = None
    proxy: Proxy | None = None
    client_certificate: ClientCertificate | None = None
    authorities: tuple[str, ...] = ()
    """Paths of PEM files with certificates of private authorities, believed beside the browser's own."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets."""
        names = []
        if self.basic_auth is not None:
            names += [self.basic_auth.user, self.basic_auth.password]
        if self.proxy is not None:
            names += [self.proxy.user, self.proxy.password]
        if self.client_certificate is not None:
            names.append(self.client_certificate.passphrase)
        return tuple(name for name in names if name)

    def beside(self, folder: Path) -> "Access":
        """Return it with the paths of files made absolute, relative to `folder`."""
        certificate = self.client_certificate
        if certificate is not None:
            certificate = msgspec.structs.replace(
                certificate,
                certificate=_absolute(folder, certificate.certificate),
                key=_absolute(folder, certificate.key),
            )
        authorities = tuple(_absolute(folder, path) for path in self.authorities)
        return msgspec.structs.replace(self, client_certificate=certificate, authorities=authorities)

    def complaint(self) -> tuple[str, str]:
        """Return the key that is wrong, as ``proxy.server``, and what is wrong about it; empty texts when all fits."""
        for key, found in self._complaints():
            if found:
                return key, found
        return "", ""

    def _complaints(self) -> list[tuple[str, str]]:
        found = [("authorities", _authority(path)) for path in self.authorities]
        if self.basic_auth is not None and self.basic_auth.origin:
            found.append(("basic_auth.origin", _origin(self.basic_auth.origin, ("http", "https"))))
        if (proxy := self.proxy) is not None:
            found.append(("proxy.server", _proxy_server(proxy.server)))
            if bool(proxy.user) != bool(proxy.password):
                found.append(("proxy", "it has only one of user and password; both are needed, or none"))
            if proxy.user and proxy.server.startswith("socks5:"):
                found.append(("proxy.user", "the browser can give no password to a SOCKS proxy; http:// is needed"))
        if (client := self.client_certificate) is not None:
            found += [("client_certificate.origins", _origin(origin, ("https",))) for origin in client.origins]
            found.append(("client_certificate.certificate", _certificates(client.certificate)))
            found.append(("client_certificate.key", _key(client)))
        return found


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address; the port only where it is not the scheme's own."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    own = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in {None, own} else "")


def _absolute(folder: Path, path: str) -> str:
    return str(folder / Path(path).expanduser())


def _origin(text: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in schemes and bool(parts.hostname) and parts.path in {"", "/"} and parts.port != 0
        sound = sound and not (parts.query or parts.fragment or "@" in text)
    except ValueError:
        sound = False
    if sound:
        return ""
    return f"it is {text!r}; {schemes[-1]}://host or {schemes[-1]}://host:port is needed"


def _proxy_server(text: str) -> str:
    wanted = "http://host:port, https://host:port or socks5://host:port is needed"
    try:
        parts = urlsplit(text)
        sound = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port is not None
        sound = sound and parts.path in {"", "/"}
    except ValueError:
        sound = False
    if "@" in text:
        return "it holds a user or a password; name their secrets with user and password instead"
    return "" if sound else f"it is {text!r}; {wanted}"


def _certificates(path: str) -> str:
    try:
        content = Path(path).read_text("ascii")
    except FileNotFoundError:
        return f"the file {path} does not exist"
    except (OSError, UnicodeDecodeError) as error:
        return f"the file {path} cannot be read as PEM: {getattr(error, 'strerror', None) or 'it is no text'}"
    return "" if "-----BEGIN CERTIFICATE-----" in content else f"the file {path} holds no certificate in PEM"


def _authority(path: str) -> str:
    if complaint := _certificates(path):
        return complaint
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        return f"the file {path} holds no certificate that can be read: {error.reason or error}"
    return ""


def _key(client: ClientCertificate) -> str:
    """Check that the key is there, private, and the certificate's; one with a passphrase is opened later."""
    try:
        mode = Path(client.key).stat().st_mode
        content = Path(client.key).read_bytes()
    except OSError as error:
        return f"the file {client.key} cannot be read: {(error.strerror or '').lower()}"
    if mode & _OTHERS:
        return f"others can read the file {client.key}; allow only yourself: chmod 600 {client.key}"
    if client.passphrase:
        return ""
    if b"ENCRYPTED" in content:
        return f"the key in {client.key} wants a passphrase; name its secret with passphrase"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(client.certificate, client.key)
    except (ssl.SSLError, OSError) as error:
        return f"{client.certificate} and {client.key} do not belong together: {getattr(error, 'reason', '') or error}"
    return ""
