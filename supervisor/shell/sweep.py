"""What a power cut or a double kill left behind: recorded while the run goes on, removed at its next start.

The record names the processes of each tree by pid and start time, this boot, and the supervisor and its guardian. It
is not flushed to disk: it matters only while the machine that wrote it has not gone down, and a damaged one is
no record. Standard library alone, because the guardian uses it without site-packages.
"""

import json
import os
import re
import shutil
import signal
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor.shell import files, linux
from supervisor.shell.trees import RecordError, Tree

TEMP_PREFIX = "nightfleet-"
"""Begins the name of a run's temporary folder, in which each incarnation has one of its own."""

KILL_SECONDS = 10.0
"""How long `sweep` tries to kill one tree."""

_RECORD_LIMIT = 4_194_304  # bytes; a record of 100 workers takes about 100,000


def record(path: Path, trees: Iterable[Tree], guardian: tuple[int, int] | None) -> None:
    """Write down, atomically, which processes and temporary folders belong to this run.

    Args:
        path: the file, replaced.
        trees: those that are not verified dead.
        guardian: its pid and start time; None when there is none.

    Raises:
        OSError: it could not be written; the old record stays.
    """
    content = {
        "world": linux.world(),
        "supervisor": [os.getpid(), linux.start_time(os.getpid())],
        "guardian": None if guardian is None else list(guardian),
        "trees": [tree.as_record() for tree in trees],
    }
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def sweep(path: Path, temp_root: Path) -> list[str]:
    """Kill and remove what the last supervisor of this run left. Waits; to be called before the run's first child.

    Nothing is touched that belongs to somebody else: a process must be the recorded one by pid and start time in this
    boot, or carry a recorded marker; while the recorded supervisor still runs (the run directory was copied), all
    of it is left alone.

    Args:
        path: what `record` wrote; it may be missing or damaged.
        temp_root: the run's temporary folder, ``<temp>/nightfleet-<run id>``.

    Returns:
        One sentence for each thing that was done, or that could not be done.
    """
    said: list[str] = []
    content, damage = _read(path)
    if damage:
        said.append(damage)
    supervisor, guardian = _identity(content.get("supervisor")), _identity(content.get("guardian"))
    same_world = content.get("world") == linux.world()
    if same_world and supervisor and linux.is_running(*supervisor):
        return [*said, f"supervisor {supervisor[0]} of a copy of this run still runs: nothing of its was touched"]
    trees, problems = _trees(content.get("trees"))
    said += problems
    if same_world:
        if guardian and not _end(guardian):
            said.append(f"the last guardian (process {guardian[0]}) could not be ended")
        for tree in trees:
            said += _kill(tree)
    for folder in {Path(tree.temp_dir) for tree in trees if tree.temp_dir} | {temp_root}:
        said += _remove(folder, temp_root.name)
    path.unlink(missing_ok=True)
    return said


def remove_temp_dir(folder: Path) -> bool:
    """Remove a folder made for a worker: ``nightfleet-<run id>`` itself or one within it, never through a link.

    Returns:
        True when it was there and is gone now.

    Raises:
        ValueError: it is not such a folder.
        OSError: it could not be removed completely.
    """
    within = folder.parent if not folder.name.startswith(TEMP_PREFIX) else folder
    if not folder.is_absolute() or ".." in folder.parts or not re.fullmatch(rf"{TEMP_PREFIX}[\w.-]+", within.name):
        raise ValueError(f"{folder} is no temporary folder of a worker")
    for part in {within, folder}:
        try:
            found = part.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ValueError(f"{part} is not a folder of ours")
    shutil.rmtree(folder)
    return True


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """Return the record, empty when there is none, and a sentence when it is damaged."""
    try:
        content = json.loads(files.read(path, _RECORD_LIMIT))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"the record of the last run's processes cannot be read: {error}"
    if not isinstance(content, dict):
        return {}, "the record of the last run's processes is damaged"
    return content, ""


def _identity(value: object) -> tuple[int, int] | None:
    match value:
        case [int(pid), int(started)] if pid > 1 and started > 0:
            return pid, started
        case _:
            return None


def _trees(value: object) -> tuple[list[Tree], list[str]]:
    """Return the recorded trees, and a sentence for each that is damaged."""
    trees, problems = [], []
    for entry in value if isinstance(value, list) else []:
        try:
            trees.append(Tree.from_record(entry))
        except RecordError as error:
            problems.append(str(error))
    return trees, problems


def _end(process: tuple[int, int]) -> bool:
    """Kill one process and wait until it is gone; True when it is."""
    deadline = time.monotonic() + KILL_SECONDS
    while linux.is_running(*process):
        if time.monotonic() > deadline:
            return False
        linux.send_signal(*process, signal.SIGKILL)
        time.sleep(0.01)  # it is not our child: its end cannot be waited for everywhere
    return True


def _kill(tree: Tree) -> list[str]:
    """Kill what is left of a tree; return what was found."""
    found = tree.members()
    if not found:
        return []
    names = ", ".join(f"{process.name} ({process.pid})" for process in found)
    if tree.kill(KILL_SECONDS):
        return [f"killed what the last run left of {tree.marker}: {names}"]
    return [f"could not kill all that the last run left of {tree.marker}: {names}"]


def _remove(folder: Path, root_name: str) -> list[str]:
    """Remove one temporary folder of this run; return what was done."""
    if root_name not in (folder.name, folder.parent.name):
        return [f"{folder} is not a temporary folder of this run: left alone"]
    try:
        return [f"removed the temporary folder {folder}"] if remove_temp_dir(folder) else []
    except (OSError, ValueError) as error:
        return [f"the temporary folder {folder} could not be removed: {error}"]
