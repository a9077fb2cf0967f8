"""A terminal on which one picture is drawn again and again in its place, also when its window changes its size."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live


class Screen:
    """Draws pictures made for the terminal's present height; the last one stays when the block ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size = console.size
        self._live = self._begin()

    @property
    def was_resized(self) -> bool:
        """The window has another size than what was drawn last."""
        return self._console.size != self._size

    def draw(self, make: Callable[[int], RenderableType]) -> None:
        """Draw what `make` returns for this number of lines."""
        if self.was_resized:
            # The terminal has wrapped the old picture in its own way: nobody knows where its first line is now.
            self._live.stop()
            self._console.clear()
            self._size, self._live = self._console.size, self._begin()
        self._live.update(make(self._size.height - 1), refresh=True)

    def _begin(self) -> Live:
        live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        live.start()
        return live

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def can_draw(console: Console) -> bool:
    """Say whether the console is a terminal that can move its cursor."""
    return console.is_terminal and not console.is_dumb_terminal
