"""What the demo website does with more visitors than it can serve."""

import asyncio

import pytest
from aiohttp import web

from tests.worker.demo_process import demo
from worker.sites.demo.capacity import Capacity, Crowded


class _Clock:
    """Stands for `asyncio.sleep`: notes for how long, and goes on when told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self.over.wait()


async def _crowd(making: Capacity, clock: _Clock, visitors: int) -> tuple[list[float], list[web.Response | None]]:
    """Let so many come at a time; return what was being made before anything was ready, and the answers."""
    tasks = [asyncio.create_task(making.make()) for _ in range(visitors)]
    for _ in range(3 * visitors):  # as often as a task may have to be resumed before it stands still
        await _turn()
    asked = list(clock.asked)
    clock.over.set()
    return asked, list(await asyncio.gather(*tasks))


async def _turn() -> None:
    """Let the others go on as far as they can."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


@pytest.mark.parametrize(
    ("crowded", "places", "made", "refused"),
    [
        (Crowded.WAIT, 0, [1.0] * 4, 0),
        (Crowded.WAIT, 3, [1.0] * 3, 0),
        (Crowded.REFUSE, 3, [1.0] * 3, 1),
        (Crowded.SLOW, 2, [1.0, 1.0, 2.25, 4.0], 0),
    ],
)
def test_more_visitors_than_places_wait_slow_it_down_or_are_refused(
    crowded: Crowded, places: int, made: list[float], refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four come at a time."""

    async def play() -> tuple[list[float], list[web.Response | None]]:
        clock = _Clock()
        monkeypatch.setattr(asyncio, "sleep", clock.sleep)
        return await _crowd(Capacity(places, 1.0, crowded), clock, 4)

    asked, answers = asyncio.run(play())
    assert asked == made
    assert [answer.status for answer in answers if answer is not None] == [429] * refused
    assert all(answer.headers["Retry-After"] == "2" for answer in answers if answer is not None)


def test_the_website_has_that_capacity_for_its_vehicles_pages() -> None:
    """Once through, a page is there in full, and nobody is in the way of the next visitor."""
    with demo("--vehicles", 2, "--page-time", 1, "--capacity", 1, "--crowded", "refuse") as site:
        client = site.visitor()
        for ref in site.truth():
            assert client.open(ref).status == 200
