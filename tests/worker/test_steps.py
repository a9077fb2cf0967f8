"""The steps of a visit: named, timed, and overdue when they take longer than their limit."""

import asyncio

from worker.protocol import Heartbeat, encode
from worker.steps import Steps


def names(steps: Steps) -> list[str]:
    return [step.name for step in steps.end()]


def test_steps_follow_one_another() -> None:
    """Each ends the one before; the end closes the last; what begins later counts for nothing."""

    async def visit() -> Steps:
        steps = Steps({})
        assert steps.present[0] == ""
        steps.begin("one")
        steps.begin("two")
        assert steps.present[0] == "two"
        assert names(steps) == ["one", "two"]
        steps.begin("three")
        return steps

    steps = asyncio.run(visit())
    assert names(steps) == ["one", "two"]
    assert steps.present[0] == ""


def test_a_step_is_overdue_after_its_limit() -> None:
    """The step that has a limit, and no other."""

    async def visit() -> None:
        steps = Steps({"slow": 0.01})
        steps.begin("other")
        steps.begin("slow")
        await asyncio.wait_for(steps.overdue.wait(), 20)

    asyncio.run(visit())


def test_a_step_that_ended_is_not_overdue_later() -> None:
    """Neither by the next step nor by the end of the visit is its limit left behind."""

    async def visit() -> bool:
        steps, ended = Steps({"quick": 0.01, "long": 1000.0}), Steps({"quick": 0.01})
        steps.begin("quick")
        steps.begin("long")
        ended.begin("quick")
        ended.end()
        await asyncio.sleep(0.05)
        return steps.overdue.is_set() or ended.overdue.is_set()

    assert not asyncio.run(visit())


def test_names_and_numbers_are_bounded() -> None:
    """A recipe in a loop fills no memory, and no message."""

    async def visit() -> None:
        steps = Steps({})
        for number in range(2_000):
            steps.begin(f"{number} {'x' * 1_000}")
        done = steps.end()
        assert len(done) == 1_000
        assert max(len(step.name) for step in done) == 200

    asyncio.run(visit())


def test_a_name_out_of_a_page_may_hold_what_is_no_text() -> None:
    """Half of a pair of surrogates, as scripts cut them: it can be told in a message all the same."""

    async def visit() -> None:
        steps = Steps({})
        steps.begin("open \ud83d")
        encode(Heartbeat(1, *steps.present))
        assert names(steps) == ["open ?"]

    asyncio.run(visit())
