"""The queue: order, waiting, setting aside, conservation."""

import pytest

from supervisor.core.queue import Queue, Reference, State
from supervisor.core.records import Entry
from tests.core.playbook import entries

_POISON = 2


def _queue(*refs: str, **values: int) -> Queue:
    queue = Queue(completed=0, failed=0)
    queue.add(entries(*refs, **values), 0.0)
    return queue


def _take(queue: Queue) -> Reference:
    reference = queue.take(_POISON)
    assert reference is not None
    return reference


def test_first_come_first_served() -> None:
    """References are handed out in the order in which they came, each once."""
    queue = _queue("a", "b", "c")
    assert [_take(queue).ref for _ in range(3)] == ["a", "b", "c"]
    assert queue.take(_POISON) is None
    assert queue.in_progress == 3


def test_a_retry_whose_time_has_come_goes_first() -> None:
    """Waiting references come back in front, the one due first at the head."""
    queue = _queue("a", "b", "c")
    late, soon = _take(queue), _take(queue)
    queue.put_back(late, 20.0)
    queue.put_back(soon, 10.0)
    assert queue.next_due() == 10.0
    queue.promote(9.9)
    assert queue.totals().waiting == 2
    queue.promote(20.0)
    assert [_take(queue).ref for _ in range(3)] == ["b", "a", "c"]


def test_what_comes_back_at_once_goes_to_the_front_or_to_the_end() -> None:
    """A reference interrupted goes first again; one that met an outage goes last, so that another is the next probe."""
    queue = _queue("a", "b", "c")
    queue.put_back(_take(queue), None)
    assert _take(queue).ref == "a"
    queue.put_back(_take(queue), None, last=True)
    assert [_take(queue).ref for _ in range(2)] == ["c", "b"]


def test_entries_that_still_have_to_wait_wait() -> None:
    """What the ledger says of the time to wait is kept."""
    queue = _queue("a", retry_in=5)
    assert queue.take(_POISON) is None
    queue.promote(5.0)
    assert _take(queue).ref == "a"


def test_poison_is_tried_last_and_alone() -> None:
    """Nothing is handed out beside it, not even what becomes ready meanwhile."""
    queue = Queue(0, 0)
    queue.add([Entry(1, "bad", crashes=2), Entry(2, "good")], 0.0)
    good = _take(queue)
    assert good.ref == "good"
    assert queue.take(_POISON) is None
    queue.put_back(good, 10.0)
    assert queue.take(_POISON) is None
    queue.promote(10.0)
    queue.complete(_take(queue))
    bad = _take(queue)
    assert bad.ref == "bad"
    queue.add([Entry(3, "new")], 0.0)
    assert queue.take(_POISON) is None
    queue.complete(bad)
    assert _take(queue).ref == "new"
    queue.check_each()


def test_poison_that_waits_for_a_retry_keeps_no_other_poison_waiting() -> None:
    """A few such references with long delays would take as long as all their delays together."""
    queue = Queue(0, 0)
    queue.add([Entry(1, "bad", crashes=2), Entry(2, "worse", crashes=2)], 0.0)
    queue.put_back(_take(queue), 10.0)
    worse = _take(queue)
    assert worse.ref == "worse"
    assert queue.take(_POISON) is None
    queue.complete(worse)
    queue.promote(10.0)
    assert _take(queue).ref == "bad"
    queue.check_each()


def test_spent_references_are_given_up_ready_or_waiting() -> None:
    """At the start, whatever has no attempt left fails, also when it was waiting for one."""
    queue = Queue(0, 0)
    queue.add([Entry(1, "a", attempts=3), Entry(2, "b", attempts=3, retry_in=9), Entry(3, "c", attempts=2)], 0.0)
    assert {reference.ref for reference in queue.give_up(3)} == {"a", "b"}
    assert queue.totals().failed == 2
    assert queue.next_due() is None
    assert queue.give_up(3) == []
    queue.check_each()


def test_reopening_twice_counts_once() -> None:
    """Whoever reads the ledger a moment too early names a reference a second time; that changes nothing."""
    queue = Queue(completed=0, failed=2)
    first = queue.reopen_entries([Entry(1, "a"), Entry(1, "a")])
    assert [entry.ref for entry in first] == ["a"]
    assert queue.reopen_entries([Entry(1, "a")]) == []
    queue.fail(_take(queue))
    assert len(queue.reopen_entries([Entry(1, "a")])) == 1
    queue.check_each()


def test_a_forgiven_reference_is_not_reopened_again() -> None:
    """A reference that an outage had failed and that came back is no longer a failed one."""
    queue = _queue("a")
    reference = _take(queue)
    queue.fail(reference)
    queue.reopen(reference)
    assert queue.reopen_entries([Entry(1, "a")]) == []
    assert queue.totals().ready == 1
    queue.check_each()


def test_a_lost_reference_is_noticed() -> None:
    """The totals are checked against what came in."""
    queue = _queue("a")
    queue._ready.clear()
    with pytest.raises(AssertionError, match="1 references came in"):
        queue.check()


def test_a_reference_in_the_wrong_place_is_noticed() -> None:
    """The linear check looks at each reference that waits."""
    queue = _queue("a", "b")
    queue._ready[0].state = State.WAITING
    with pytest.raises(AssertionError, match="or twice"):
        queue.check_each()
    assert repr(queue._ready[0]) == "'a' (waiting, 0 attempts)"
    assert queue.totals().total == 2


def test_nobody_waits_longer_than_any_wait_is() -> None:
    """The ledger's times are the wall clock's, which may have been put back an hour before the restart."""
    queue = Queue(completed=0, failed=0)
    queue.add([Entry(1, "a", retry_in=4000.0), Entry(2, "b", retry_in=7.0)], 100.0, longest=300.0)
    assert queue.next_due() == 107.0
    queue.promote(400.0)
    assert queue.totals().waiting == 0
