"""Putting a folder of documents into its place, so that a crash at any instant leaves nothing half done or lost.

New documents take a free place by one rename. Where others are already, and differ, those stand aside for a moment in
``.nightfleet/replaced/<attempt>-<folder>`` and then move into ``previous/`` beside the new ones:

    1. documents/F        -> replaced/A-F
    2. staging/A          -> documents/F
    3. replaced/A-F       -> documents/F/previous/<time>-attempt-<number>

After a crash `finish_replacements` sees an entry in ``replaced/``: before step 2 the place is free, and the old ones go
back; after it, they go on into ``previous/``.
"""

import contextlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from supervisor.shell.manifest import MANIFEST, PREVIOUS, Manifest, condition, formers, read_manifest
from supervisor.shell.run_directory import RunDirectory, atomic_write, fsync_directory, make_folder


def place(run: RunDirectory, staged: Path, folder: str, manifest: Manifest) -> None:
    """Put the checked and flushed folder `staged`, with its manifest, in the place of a reference's documents.

    Raises:
        OSError: it could not be done; what was in place before is in place still.
    """
    target = run.documents / folder
    if not os.path.lexists(target):
        _move_in(run, staged, target)
    elif _same(target, manifest):
        # What it lists as former stays on record: only their own folders know of them else.
        kept = msgspec.structs.replace(manifest, former=formers(target, manifest))
        atomic_write(target / MANIFEST, kept.encode(), via=run.path)
        shutil.rmtree(staged)
    else:
        make_folder(run.replaced)
        aside = run.replaced / f"{manifest.attempt}-{folder}"
        target.rename(aside)
        try:
            fsync_directory(run.replaced)
            _move_in(run, staged, target)
        except OSError:
            aside.rename(target)
            raise
        # The new documents are in place and flushed. Should this fail, the next start does it.
        with contextlib.suppress(OSError):
            _keep_previous(run, aside, target)


def finish_replacements(run: RunDirectory) -> list[tuple[Path, bool]]:
    """Finish or take back what a crash interrupted; return the places, with whether the new documents are in them.

    Raises:
        OSError: something could not be moved.
    """
    done: list[tuple[Path, bool]] = []
    if not run.replaced.is_dir():
        return done
    for aside in sorted(run.replaced.iterdir()):
        target = run.documents / aside.name.partition("-")[2]
        finished = os.path.lexists(target)
        if finished:
            _keep_previous(run, aside, target)
        else:
            aside.rename(target)
            fsync_directory(run.documents)
        done.append((target, finished))
    return done


def _move_in(run: RunDirectory, staged: Path, target: Path) -> None:
    staged.rename(target)
    try:
        fsync_directory(run.documents)
    except OSError:
        target.rename(staged)
        raise


def _same(target: Path, manifest: Manifest) -> bool:
    """Say whether exactly these documents are in place already, whatever the manifest there says."""
    return condition(target, manifest.documents).sound


def _keep_previous(run: RunDirectory, aside: Path, target: Path) -> None:
    """Move a replaced folder, and what it had replaced itself, into ``previous/``. May be done again after a crash."""
    previous = target / PREVIOUS
    make_folder(previous)
    older = aside / PREVIOUS
    if older.is_dir() and not older.is_symlink():
        for folder in sorted(older.iterdir()):
            folder.rename(_free(previous / folder.name))
        fsync_directory(previous)  # before their former place is durably gone
        older.rmdir()
        fsync_directory(aside)
    manifest = read_manifest(aside) if aside.is_dir() else None
    label = aside / MANIFEST if manifest else aside
    when = datetime.fromtimestamp(label.lstat().st_mtime, UTC).strftime("%Y-%m-%dT%H%M%SZ")
    place = _free(previous / (f"{when}-attempt-{manifest.number}" if manifest else when))
    # The manifest first: should a crash come between, this is done once more. What is half written must not lie among
    # the documents, where a restart would take it for something that does not belong there.
    if (newest := read_manifest(target)) is not None:
        arriving = (place.name, manifest) if manifest else None
        listing = msgspec.structs.replace(newest, former=formers(target, newest, arriving))
        atomic_write(target / MANIFEST, listing.encode(), via=run.path)
    aside.rename(place)
    fsync_directory(previous)
    fsync_directory(target)


def _free(path: Path) -> Path:
    number, candidate = 1, path
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}~{number}")
    return candidate
