"""The inbox: what threads leave there reaches the loop, which is woken once for many, and not for nothing."""

import os
import select
import signal
import threading

import pytest

from supervisor.core.events import TimePassed
from supervisor.shell.inbox import Durable, Inbox, Signals

_THREADS = 4
_EACH = 3_000


def _is_readable(inbox: Inbox, seconds: float) -> bool:
    return bool(select.select([inbox], [], [], seconds)[0])


def test_nothing_that_threads_leave_is_lost_or_changes_its_order() -> None:
    """The loop looks only when it is woken; whoever puts something at that very moment wakes it again."""
    inbox = Inbox()

    def fill(thread: int) -> None:
        for number in range(_EACH):
            inbox.put(Durable(thread * _EACH + number))

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    taken: list[int] = []
    while len(taken) < _THREADS * _EACH:
        assert _is_readable(inbox, 30.0), f"{len(taken)} have come, and the loop sleeps"
        taken += [item.batch for item in inbox.take() if isinstance(item, Durable)]
    for thread in threads:
        thread.join()
    for number in range(_THREADS):
        own = [batch for batch in taken if batch // _EACH == number]
        assert own == list(range(number * _EACH, (number + 1) * _EACH))
    inbox.take()  # a thread may have woken the loop for what was taken already
    assert not _is_readable(inbox, 0.0)
    assert not inbox.waits
    inbox.close()


@pytest.mark.parametrize("ignored", [True, False], ids=["nohup", "a terminal"])
def test_a_run_outlives_its_terminal_when_it_is_told_to(*, ignored: bool) -> None:
    """What nohup has the kernel ignore stays ignored; without it a lost terminal stops the run in good order."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        signals = Signals()
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert select.select([signals], [], [], 30.0)[0]
        assert signals.take() == ([] if ignored else [signal.SIGHUP]) + [signal.SIGUSR1]
        signals.close()
        assert signal.getsignal(signal.SIGHUP) == (signal.SIG_IGN if ignored else signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_the_loop_can_ask_between_two_looks_whether_something_waits() -> None:
    """So that what its own round has put there needs no further round."""
    inbox = Inbox()
    assert not inbox.waits
    inbox.put(TimePassed())
    assert inbox.waits
    assert _is_readable(inbox, 0.0)
    assert inbox.take() == [TimePassed()]
    assert not inbox.waits
    assert not _is_readable(inbox, 0.0)
    inbox.close()


def test_what_comes_after_the_end_wakes_nobody() -> None:
    """A thread that ends late finds a closed inbox, and no descriptor that is somebody else's by now."""
    inbox = Inbox()
    inbox.close()
    inbox.put(TimePassed())
