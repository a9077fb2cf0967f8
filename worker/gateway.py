"""The way to the site, as the driver and the browser want it told: `worker.access` with its secrets filled in.

Playwright hands the passwords to the browser over its pipe: they stand in no command line. The driver, which fetches
documents, and Chromium, which opens pages, believe the same authorities and go through the same proxy.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from worker import authorities
from worker.access import Access, origin_of
from worker.hosts import resolver_rules
from worker.site import SiteFailure
from worker.vault import Vault

_EXTRA = "NODE_EXTRA_CA_CERTS"
"""Node reads authorities beside its own from the file that this variable names."""


class GatewayError(Exception):
    """The way to the site cannot be opened; the sentence says why."""


class Gateway(msgspec.Struct, frozen=True):
    """What goes into the environments of driver and browser, the browser's arguments and each context."""

    driver: dict[str, str] = {}
    browser: dict[str, str] = {}
    hosts: tuple[str, ...] = ()
    """The only hosts that may be asked for anything; none for all that the recipe allows."""
    in_between: tuple[str, ...] = ()
    """Hosts through which the browser's connections go."""
    launch: dict[str, Any] = {}
    context: dict[str, Any] = {}

    def host_rules(self, hosts: tuple[str, ...]) -> list[str]:
        """Return Chromium's arguments under which it can reach only `hosts`; none for all.

        Where somebody else makes its connections it resolves no names, so the rule has to be one about connections.
        """
        if not hosts:
            return []
        kind = "host-rules" if self.in_between else "host-resolver-rules"
        return [f"--{kind}={resolver_rules((*hosts, *self.in_between))}"]


def open_gateway(access: Access, start_url: str, vault: Vault, folder: Path) -> Gateway:
    """Return the gateway of a recipe; `folder` is for what has to be a file, and goes with the worker.

    Raises:
        GatewayError: a secret is missing, a file cannot be read, or the browser cannot be told of the authorities.
    """
    try:
        return _open(access, start_url, vault, folder)
    except (SiteFailure, authorities.AuthoritiesError, OSError) as error:
        raise GatewayError(str(error)) from error


def _open(access: Access, start_url: str, vault: Vault, folder: Path) -> Gateway:
    driver: dict[str, str] = {}
    browser: dict[str, str] = {}
    hosts: tuple[str, ...] = ()
    in_between: list[str] = []
    launch: dict[str, Any] = {}
    context: dict[str, Any] = {}
    home = origin_of(start_url)
    if access.authorities:
        driver[_EXTRA] = str(_bundle(access.authorities, folder))
        authorities.install(folder / "home", access.authorities)
        browser["HOME"] = str(folder / "home")
    if (basic := access.basic_auth) is not None:
        context["http_credentials"] = {
            "username": vault.get(basic.user),
            "password": vault.get(basic.password),
            "origin": origin_of(basic.origin) if basic.origin else home,
        }
    if (proxy := access.proxy) is not None:
        launch["proxy"] = {"server": proxy.server}
        in_between.append(urlsplit(proxy.server).hostname or "")
        if proxy.bypass:
            launch["proxy"]["bypass"] = proxy.bypass
        if proxy.user:
            launch["proxy"] |= {"username": vault.get(proxy.user), "password": vault.get(proxy.password)}
    if (client := access.client_certificate) is not None:
        origins = [origin_of(origin) for origin in client.origins or (home,)]
        given: dict[str, Any] = {"certPath": client.certificate, "keyPath": client.key}
        if client.passphrase:
            given["passphrase"] = vault.get(client.passphrase)
        context["client_certificates"] = [{"origin": origin, **given} for origin in origins]
        hosts = tuple(dict.fromkeys(urlsplit(origin).hostname or "" for origin in origins))
        in_between.append("127.0.0.1")  # from a port of which Playwright forwards the connections
    return Gateway(driver, browser, hosts, tuple(in_between), launch, context)


def _bundle(files: tuple[str, ...], folder: Path) -> Path:
    """Return one file with all authorities, those that the user has named for Node included."""
    folder.mkdir(parents=True, exist_ok=True)
    inherited = os.environ.get(_EXTRA, "")
    bundle = folder / "authorities.pem"
    contents = [Path(file).read_text("ascii").strip() for file in (*files, *([inherited] if inherited else []))]
    bundle.write_text("\n".join(contents) + "\n", "ascii")
    return bundle
