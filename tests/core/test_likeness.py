"""When failures look alike: time-outs by their step, pages that came instead by what they say."""

from supervisor.core.breaker import BreakerState
from supervisor.core.failures import Alike
from supervisor.core.likeness import Likeness, likeness
from supervisor.core.records import AttemptFailed, AttemptForgiven
from tests.core.playbook import Playbook, records
from worker.protocol import Failed, Kind, Step

_MANY = tuple(f"R{number}" for number in range(40))
_OPEN = (Step("open the vehicle", 30.0),)
_FETCH = (Step("open the vehicle", 0.2), Step("fetch the documents", 30.0))


def _of(kind: Kind, ref: str = "A-1001", **values: object) -> Likeness | None:
    return likeness(Failed(1, kind, "no", ready=True, **values), ref)  # type: ignore[arg-type] # whatever a test needs


def test_time_outs_are_alike_in_the_same_step_only() -> None:
    """The step in which it came is the last one."""
    assert _of(Kind.TIMEOUT, steps=_OPEN) == _of(Kind.STEP_TIMEOUT, steps=_OPEN)
    assert _of(Kind.TIMEOUT, steps=_OPEN) != _of(Kind.TIMEOUT, steps=_FETCH)
    assert _of(Kind.DOCUMENT_STALLED, steps=_FETCH) == _of(Kind.TIMEOUT, steps=_FETCH)
    assert _of(Kind.TIMEOUT) == Likeness(Alike.SILENT)


def test_a_step_that_is_named_after_its_reference_is_the_same_for_others() -> None:
    """References and numbers do not count, and a name of any length is kept short."""
    one = _of(Kind.TIMEOUT, "A-1001", steps=(Step("document 3 of A-1001", 9.0),))
    other = _of(Kind.TIMEOUT, "B-77", steps=(Step("document 12 of B-77", 9.0),))
    assert one == other == Likeness(Alike.SILENT, "document # of #")
    long = _of(Kind.TIMEOUT, steps=(Step("x" * 60_000, 9.0),))
    assert long is not None
    assert len(long.mark) == 200


def test_errors_are_alike_whatever_the_step() -> None:
    """A site that answers with errors does so everywhere."""
    assert _of(Kind.SERVER_ERROR, steps=_OPEN) == _of(Kind.DOWNLOAD_REFUSED, steps=_FETCH)
    assert _of(Kind.NOT_FOUND, steps=_OPEN) is None


def test_time_outs_in_different_steps_do_not_open_the_breaker_but_are_forgiven_with_it() -> None:
    """Vehicles that are bad each in its own way are no outage; when it is one, all of them are forgiven."""
    play = Playbook.working(*_MANY, workers=4)
    for slot, steps in ((1, _FETCH), (2, _OPEN), (3, _OPEN)):
        (record,) = records(play.take(play.failed(slot, Kind.TIMEOUT, steps=steps)), AttemptFailed)
        assert record.counted
        assert play.machine.run.breaker.state is BreakerState.CLOSED
    commands = play.take(play.failed(4, Kind.STEP_TIMEOUT, steps=_OPEN))
    assert play.machine.run.breaker.state is BreakerState.OPEN
    assert [record.attempt for record in records(commands, AttemptForgiven)] == [1, 2, 3]


def test_the_same_page_in_place_of_documents_of_several_is_an_outage() -> None:
    """Three references on two workers, whatever kind it shows as; the first ones are forgiven."""
    play = Playbook.working(*_MANY, workers=3)
    kinds = (Kind.DOCUMENT_INVALID, Kind.DOCUMENTS_MISSING, Kind.DOCUMENT_INVALID)
    commands = []
    for slot, kind in enumerate(kinds, 1):
        commands = play.take(play.failed(slot, kind, instead="5ca1ab1e"))
    assert play.machine.run.breaker.state is BreakerState.OPEN
    assert play.machine.run.breaker.reason == "the same web page comes in place of what was asked for"
    assert [record.attempt for record in records(commands, AttemptForgiven)] == [1, 2]


def test_one_reference_whose_document_is_a_page_never_opens_it() -> None:
    """It fails with its cause after its attempts, as do several with pages of their own."""
    play = Playbook.working("bad", workers=1, completed=1, served=("good",))
    while play.attempt(1):
        play.take(play.failed(1, Kind.DOCUMENT_INVALID, instead="5ca1ab1e"))
        assert play.machine.run.breaker.state is BreakerState.CLOSED
        play.pass_time(20.0)
    play = Playbook.working(*_MANY, workers=3)
    for slot in (1, 2, 3):
        play.take(play.failed(slot, Kind.DOCUMENT_INVALID, instead=f"page {slot}"))
    assert play.machine.run.breaker.state is BreakerState.CLOSED
