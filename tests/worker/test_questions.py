"""Cheap questions to a page: how many, and which attributes, of a page that may move on meanwhile."""

import asyncio
from typing import Any, cast

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker import questions
from worker.failures import classify
from worker.protocol import Kind

MOVED = PlaywrightError("Page.evaluate: Execution context was destroyed, most likely because of a navigation")


class FakePage:
    """Answers one after the other; the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[object] = []

    async def evaluate(self, _question: str, argument: object) -> Any:
        self.asked.append(argument)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def page(*answers: Any) -> Page:
    return cast("Page", FakePage(*answers))


def test_a_page_that_moves_on_is_asked_again() -> None:
    """What counts is the page on which it arrives."""
    assert asyncio.run(questions.count(page(MOVED, MOVED, 3), "a")) == 3
    assert asyncio.run(questions.read(page(MOVED, [["x"]]), "a", ("href",), None)) == [{"href": "x"}]


def test_what_is_waited_for_may_come_later() -> None:
    """Until there is an element to look in, the page is asked again; then an empty list is an answer."""
    waiting = FakePage(None, MOVED, None, [])
    assert asyncio.run(questions.read(cast("Page", waiting), "a", ("href",), "#documents")) == []
    assert waiting.asked == [["a", ("href",), "#documents"]] * 4


def test_attributes_go_by_their_names() -> None:
    """Each element is a dictionary."""
    found = asyncio.run(questions.read(page([["/x", ""], ["/y", "_blank"]]), "a", ("href", "target"), None))
    assert found == [{"href": "/x", "target": ""}, {"href": "/y", "target": "_blank"}]


def test_what_never_appears_is_a_step_that_took_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with Playwright's own calls, and with the selector in the sentence."""
    monkeypatch.setattr(questions, "PATIENCE", 0.0)
    with pytest.raises(PlaywrightTimeout, match="'#documents' did not appear") as never:
        asyncio.run(questions.read(page(None), "a", ("href",), "#documents"))
    assert classify(never.value).kind is Kind.STEP_TIMEOUT


def test_a_page_that_moves_for_ever_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the patience its error is the answer."""
    monkeypatch.setattr(questions, "PATIENCE", 0.0)
    with pytest.raises(PlaywrightError, match="Execution context"):
        asyncio.run(questions.count(page(MOVED), "a"))


def test_other_errors_are_not_asked_away() -> None:
    """A wrong selector and a closed page are told at once."""
    with pytest.raises(PlaywrightError, match="not a valid selector"):
        asyncio.run(questions.count(page(PlaywrightError("SyntaxError: not a valid selector")), "a["))
