"""What is left on a disk after a power cut: the calls of a process, applied to a file system that forgets.

Two kinds of file system. A *strict* one keeps what POSIX promises: the bytes of a file that was flushed, and the names
of a folder that was flushed. A *journalling* one keeps all names in the order in which they were made (as ext4 and XFS
do when anything later is flushed) and of the bytes only those that were flushed: a rename lasts whose data does not.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from tests.shell.system_calls import Call

Kind = Literal["strict", "journalling"]


class _File:
    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.kept = content


class _Folder:
    def __init__(self) -> None:
        self.names: dict[str, _File | _Folder] = {}
        self.kept: dict[str, _File | _Folder] = {}


_Node = _File | _Folder


class Disk:
    """A folder, what is in it, and what of that would be there after a power cut."""

    def __init__(self, root: Path) -> None:
        """Begin with what is there now, all of it flushed."""
        self._root = root
        self._top = _Folder()
        self._moves: list[tuple[_Folder, str, _Folder, str, _Node]] = []
        """Renames of which no folder was flushed yet: from where, to where, and what. They happen as a whole."""
        self._load(root, self._top)

    def _load(self, place: Path, folder: _Folder) -> None:
        for path in place.iterdir():
            node: _Node = _Folder() if path.is_dir() else _File(path.read_bytes())
            folder.names[path.name] = folder.kept[path.name] = node
            if isinstance(node, _Folder):
                self._load(path, node)

    def apply(self, calls: Iterable[Call]) -> None:
        """Carry out calls, which succeeded."""
        for call in calls:
            if call.path.is_relative_to(self._root):
                self._apply(call)

    def _apply(self, call: Call) -> None:
        node = self._find(call.path)
        above, name = self._find(call.path.parent), call.path.name
        match call.name:
            case "open":
                if node is None and isinstance(above, _Folder):
                    above.names[name] = _File()
                elif isinstance(node, _File) and call.flags & 0o1000:  # O_TRUNC
                    node.content.clear()
            case "write" | "pwrite64":
                if isinstance(node, _File):
                    node.content.extend(bytes(max(0, call.at - len(node.content))))
                    node.content[call.at : call.at + len(call.data)] = call.data
            case "truncate" | "ftruncate":
                if isinstance(node, _File):
                    node.content.extend(bytes(max(0, call.at - len(node.content))))
                    del node.content[call.at :]
            case "fsync" | "fdatasync":
                self._flush(node)
            case "mkdir":
                if isinstance(above, _Folder):
                    above.names.setdefault(name, _Folder())
            case "unlink" | "rmdir":
                if isinstance(above, _Folder) and isinstance(node, _Folder) == (call.name == "rmdir"):
                    above.names.pop(name, None)
            case "rename":
                assert call.target is not None
                below = self._find(call.target.parent)
                if node is not None and isinstance(above, _Folder) and isinstance(below, _Folder):
                    below.names[call.target.name] = above.names.pop(name)
                    self._moves.append((above, name, below, call.target.name, node))
            case _:
                raise AssertionError(f"this file system does not know {call.name}")

    def _flush(self, node: _Node | None) -> None:
        if isinstance(node, _File):
            node.kept = bytes(node.content)
        elif isinstance(node, _Folder):
            for move in [one for one in self._moves if node in (one[0], one[2])]:
                above, name, below, target, what = move
                if above.kept.get(name) is what:
                    del above.kept[name]
                below.kept[target] = what
                self._moves.remove(move)
            node.kept = dict(node.names)

    def _find(self, path: Path) -> _Node | None:
        node: _Node | None = self._top
        for part in path.relative_to(self._root).parts if path.is_relative_to(self._root) else ("",):
            node = node.names.get(part) if isinstance(node, _Folder) else None
        return node

    def remains(self, place: Path, kind: Kind) -> None:
        """Write into `place` what would be there after a power cut now."""
        self._write(self._top, place, kind)

    def _write(self, folder: _Folder, place: Path, kind: Kind) -> None:
        place.mkdir(exist_ok=True)
        for name, node in (folder.kept if kind == "strict" else folder.names).items():
            if isinstance(node, _Folder):
                self._write(node, place / name, kind)
            elif not name.endswith("-shm"):  # shared memory, which SQLite makes anew
                (place / name).write_bytes(node.kept)
