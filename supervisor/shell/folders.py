"""Folder names for references: safe on every file system, never two alike, and the reference itself where it can be."""

import hashlib
import re
from collections.abc import Callable, Iterator

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,79}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SLUG_LIMIT = 60
_HASH_LENGTHS = (10, 20, 64)
# Names of devices on Windows, reserved with any extension too: "Naming Files, Paths, and Namespaces", Microsoft Learn.
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789"}
)


def is_plain(ref: str) -> bool:
    """Say whether a reference can be a folder name as it is."""
    return (
        _PLAIN.fullmatch(ref) is not None
        and ref[-1] not in ". "
        and ref.split(".", 1)[0].rstrip(" ").casefold() not in _RESERVED
    )


def candidates(ref: str) -> Iterator[str]:
    """Yield the folder names that this reference may have, the preferred one first.

    All but the first hold a ``~``, which no plain reference does, so that they collide with no reference's own name;
    they differ from each other's by a hash of the reference. ASCII throughout.
    """
    if is_plain(ref):
        yield ref
    slug = _UNSAFE.sub("-", ref).strip("-. ")[:_SLUG_LIMIT].rstrip("-. ") or "ref"
    if not is_plain(slug):
        slug = f"ref-{slug.lstrip('_.-')}"
    digest = hashlib.sha256(ref.encode("utf-8", "surrogatepass")).hexdigest()
    for length in _HASH_LENGTHS:
        yield f"{slug}~{digest[:length]}"


def folder_name(ref: str, taken: Callable[[str], bool]) -> str:
    """Return the first candidate that is not taken.

    Args:
        ref: the reference, any text.
        taken: says whether another reference has this folder name, upper and lower case being the same.

    Raises:
        ValueError: another reference has the same sha256, which nobody has ever seen.
    """
    for name in candidates(ref):
        if not taken(name):
            return name
    raise ValueError(f"no folder name is left for the reference {ref!r}")
