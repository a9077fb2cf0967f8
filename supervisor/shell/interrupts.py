"""Signals that end a command which has others run for it, and has to end them first."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def ends_orderly() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into what Ctrl-C is, and have a second signal wait until the block has cleaned up.

    What is ignored stays so: that is how nohup(1) works.
    """

    def interrupt(_number: int, _frame: object) -> None:
        for number in former:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    for number in former:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
