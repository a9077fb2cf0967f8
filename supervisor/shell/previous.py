"""Checking what a reference's newer documents have replaced: the sets in ``previous/``, every byte of them.

The newest manifest lists, as `former`, what differs from the newest documents; each set has the manifest with which it
was published. What neither of the two names does not belong there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from supervisor.shell.manifest import (
    MANIFEST,
    PREVIOUS,
    Former,
    Listed,
    Manifest,
    condition,
    formers,
    read_manifest,
    unsafe_name,
)

_PARTS = 3
"""Of the path of a former document: ``previous/<set>/<name>``."""


class Faults(NamedTuple):
    """What is wrong with the former documents of a reference; each place with one sentence."""

    altered: list[tuple[Path, str]]
    """Former documents, or their manifests, that are not what they were: there is no other copy."""
    extra: list[tuple[Path, str]]
    """What does not belong there."""
    manifest: str
    """What the newest manifest says wrongly of them, or nothing."""


def faults(folder: Path, newest: Manifest) -> Faults:
    """Compare the former documents in a reference's folder to the manifests that name them; reads all of them.

    Args:
        folder: of the reference.
        newest: its manifest.

    Raises:
        OSError: the disk failed.
    """
    if any(not _is_place(former) for former in newest.former):
        return Faults([], [], "its manifest names a place that it cannot name")
    found = Faults([], [], "")
    named: dict[str, dict[str, Listed]] = {}
    for former in newest.former:
        document = Listed(former.name, "", former.bytes, former.sha256, None, former.attempt)
        named.setdefault(former.path.split("/")[1], {})[former.name] = document
    for name in sorted({*named, *_names(folder / PREVIOUS, found)}):
        _compare(folder / PREVIOUS / name, named.get(name, {}), found)
    listed = {former.path for former in newest.former}
    if any(former.path not in listed for former in formers(folder, newest)):
        return found._replace(manifest="its manifest does not list all former documents")
    return found


def _is_place(former: Former) -> bool:
    parts = former.path.split("/")
    return len(parts) == _PARTS and (parts[0], parts[2]) == (PREVIOUS, former.name) and not unsafe_name(parts[1])


def _names(previous: Path, found: Faults) -> Iterator[str]:
    """Yield the names of the sets that are there; what is no set is extra."""
    if not os.path.lexists(previous):
        return
    if previous.is_symlink() or not previous.is_dir():
        found.extra.append((previous, f"{PREVIOUS} is a file or a link"))
        return
    for path in previous.iterdir():
        if path.is_symlink() or not path.is_dir():
            found.extra.append((path, f"{PREVIOUS}/{path.name} does not belong there"))
        else:
            yield path.name


def _compare(place: Path, named: dict[str, Listed], found: Faults) -> None:
    """Compare one set to what the newest manifest names in it, and to its own manifest."""
    label = f"{PREVIOUS}/{place.name}"
    own = read_manifest(place) if place.is_dir() and not place.is_symlink() else None
    if own is None and not named:
        found.extra.append((place, f"{label} does not belong there: nothing says what is in it"))
        return
    documents = {**{document.name: document for document in own.documents}, **named} if own else named
    compared = condition(place, documents.values())
    if compared.missing or place.parent.is_symlink():
        gone = "the former document {}/{} is gone, with its folder"
        found.altered.extend((place / name, gone.format(label, name)) for name in named)
        return
    found.altered.extend((place, f"of the former documents in {label}, {fault}") for fault in compared.wrong)
    if own is None:
        found.altered.append((place / MANIFEST, f"the manifest of the former documents in {label} cannot be read"))
        return  # so nothing says what else belongs there
    nested = [PREVIOUS] if os.path.lexists(place / PREVIOUS) else []
    found.extra.extend((place / name, f"{label}/{name} does not belong there") for name in (*compared.extra, *nested))
