"""Which hosts a site may have asked for anything; all others are as if they did not exist.

The browser gets this as rules for resolving names (Chromium's `net/dns/host_mapping_rules.h`), which hold for every
page, frame, worker and download of it and cost nothing. A route that aborts would switch its HTTP cache off.
"""

from urllib.parse import urlsplit

from worker.protocol import Kind
from worker.site import SiteFailure


def allows(host: str, hosts: tuple[str, ...]) -> bool:
    """Say whether `host` is among `hosts`, of which one may be ``*.lot.example``; an empty list allows every host."""
    host = host.lower()
    return not hosts or any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in hosts)


def is_foreign(url: str, hosts: tuple[str, ...]) -> bool:
    """Say whether an address is on a host that is not allowed. What has no host (``data:``, ``blob:``) is at home."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https", "ws", "wss"} and not allows(parts.hostname or "", hosts)
    except ValueError:
        return bool(hosts)


def check(url: str, hosts: tuple[str, ...]) -> None:
    """Make sure that `url` may be asked for.

    Raises:
        SiteFailure: `RECIPE_ERROR`, its host is not allowed.
    """
    if is_foreign(url, hosts):
        raise foreign(url, hosts)


def foreign(url: str, hosts: tuple[str, ...]) -> SiteFailure:
    """Return the failure of an address whose host is not allowed."""
    host = urlsplit(url).hostname
    message = f"the host {host} is not among those that the recipe allows ({', '.join(hosts)}), so it was not asked"
    return SiteFailure(Kind.RECIPE_ERROR, message, url=url)


def resolver_rules(hosts: tuple[str, ...]) -> str:
    """Return Chromium's rules under which only `hosts` can be found; an address is a host like any other."""
    allowed = [f"EXCLUDE [{host}]" if ":" in host else f"EXCLUDE {host}" for host in hosts]
    return ", ".join(["MAP * ~NOTFOUND", *allowed])
