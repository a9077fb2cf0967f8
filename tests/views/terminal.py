"""A real pseudo-terminal with an emulator behind it: what a person would see, cell by cell."""

import fcntl
import itertools
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pyte

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0
_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM")
"""Of our own environment, which would decide what is drawn."""


class Terminal:
    """One command at a terminal."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self._outer, self._inner = pty.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._set_size(columns, lines)
        self.raw = b""
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *words: str, **environ: str) -> "subprocess.Popen[bytes]":
        """Start Python with these words; standard input is a pipe of ours, output and errors go to the terminal."""
        plain = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
        self.process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=self._inner,
            stderr=self._inner,
            cwd=ROOT,
            env={**plain, "TERM": "xterm-256color", **environ},
            start_new_session=True,
        )
        return self.process

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        self._set_size(columns, lines)
        self._screen.resize(lines, columns)

    def until(self, question: Callable[[list[str]], bool], what: str) -> list[str]:
        """Read until the lines on the screen answer `question`; return them without blanks at their ends."""
        last = time.monotonic() + DEADLINE
        while not question(self.lines):
            left = last - time.monotonic()
            shown = "\n".join(self.lines)
            assert left > 0, f"waiting until {what}; there is:\n{shown}"
            self.read(left)
        return self.lines

    def shows(self, text: str) -> list[str]:
        """Read until some line has `text` in it."""
        return self.until(lambda lines: any(text in line for line in lines), f"{text!r} is there")

    @property
    def lines(self) -> list[str]:
        """What is on the screen, down to the last line that is not empty."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def styled(self) -> list[list[tuple[str, str]]]:
        """The lines as runs of letters of one style, in Rich's words."""
        return [
            [("".join(cell.data for cell in cells), style) for style, cells in itertools.groupby(row, _style)]
            for row in map(self._row, range(len(self.lines)))
        ]

    def _row(self, row: int) -> list[pyte.screens.Char]:
        return [self._screen.buffer[row][column] for column in range(self._screen.columns)]

    @property
    def coloured(self) -> set[str]:
        """The colours of the letters on the screen, but the terminal's own."""
        cells = [cell for row in self._screen.buffer.values() for cell in row.values()]
        return {colour for cell in cells for colour in (cell.fg, cell.bg)} - {"default"}

    def end(self) -> int:
        """Close the command's standard input and return its exit code, reading on meanwhile."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def wait(self, limit: float = DEADLINE) -> int:
        """Return the command's exit code, reading on meanwhile."""
        assert self.process is not None
        last = time.monotonic() + limit
        while self.process.poll() is None or select.select([self._outer], [], [], 0)[0]:
            assert time.monotonic() < last, "the command does not end"
            self.read(0.05)
        return self.process.returncode

    def read(self, seconds: float) -> None:
        """Take what comes within so many seconds."""
        if select.select([self._outer], [], [], seconds)[0]:
            data = os.read(self._outer, 65_536)
            self.raw += data
            self._stream.feed(data)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.process.stdin is not None:
                self.process.stdin.close()
        os.close(self._outer)
        os.close(self._inner)


def _style(cell: pyte.screens.Char) -> str:
    # pyte calls yellow brown, as the first terminals did, and gives colours beyond the first sixteen in hexadecimal.
    colour = {"default": "", "brown": "yellow"}.get(cell.fg, cell.fg)
    if len(colour) == len("a0b1c2") and not colour.isalpha():
        colour = f"#{colour}"
    elif colour.startswith("bright"):
        colour = f"bright_{colour.removeprefix('bright')}"
    return " ".join(word for word in (colour, "bold" if cell.bold else "") if word)
