"""What a check tells, as a person reads it: one line for each thing, and all that helps when something does not fit."""

import pytest

from supervisor.views import transcript
from worker.checking.messages import (
    Brought,
    Called,
    Failure,
    Line,
    Mismatch,
    Opened,
    Passed,
    Proof,
    Saved,
    StepBegan,
    Thing,
    Waits,
)

URL = "https://lot.example/stock"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (StepBegan("open the vehicle"), "step: open the vehicle"),
        (Waits("click", "#export"), "click waits for #export"),
        (Called("all", "a.document", 3, 0.04), "all a.document: 3 matches"),
        (Called("click", "#export", 1, 0.04), "click #export: 1 match"),
        (Called("count", ".error", 0, 0.04), "count .error: matches nothing"),
        (Opened(URL, 200, "Stock", 0.2, logged_in=True), f"opened {URL} 'Stock', status 200, logged in"),
        (Proof(logged_in=False, url=URL, title=""), f"not logged in, says the recipe, at {URL}"),
        (Brought("a.pdf", URL, 24_000, 2, 0.3, "pdf"), "document a.pdf: 24 kB, PDF, 2 pages"),
        (
            Brought("a.pdf", URL, 24_000, None, 0.3, "pdf", protected=True),
            "document a.pdf: 24 kB, PDF, protected by a password",
        ),
        (Brought("a.jpg", URL, 24_000, None, 0.3, "jpg"), "document a.jpg: 24 kB, JPG"),
        (Brought("a.x", URL, 24_000, None, 0.3), "document a.x: 24 kB, of no known format"),
        (Saved("inventory.csv", 2_100, 0.1), "file inventory.csv: 2.1 kB"),
        (Passed("vehicle", 1.25, 2), "2 documents"),
        (Passed("vehicle", 1.25, 0), "no document, which the recipe allows"),
    ],
)
def test_each_thing_is_one_line(message: Line, said: str) -> None:
    """With its time where it has one."""
    (line,) = transcript.lines(message)
    assert line.endswith(said)
    if (seconds := getattr(message, "seconds", None)) is not None:
        assert f"{seconds:.1f} s" in line


def test_a_failure_shows_everything_that_helps() -> None:
    """Kind, sentence, page, selector, what is nearest, the recipe's line, the picture."""
    near = (Thing("#export", "link 'Export CSV'"), Thing("a.button", "link 'Print'", 3))
    failure = Failure(
        stage="inventory",
        kind="step_timeout",
        message="Page.click: Timeout 10000ms exceeded.",
        seconds=10.2,
        url=URL,
        title="Stock",
        place="/home/me/lot.py:31",
        screenshot="/x/screenshot.png",
        evidence="/x",
        mismatches=(Mismatch("#exprt", 0, near),),
    )
    text = "\n".join(transcript.lines(failure))
    assert text.startswith("FAILED   10.2 s  inventory  step_timeout: #exprt matches nothing on this page\n")
    for part in (f"{URL} 'Stock'", "#exprt: matches nothing", "#export   link 'Export CSV'", "(3 of them)"):
        assert part in text
    for part in ("/home/me/lot.py:31", "/x/screenshot.png"):
        assert part in text


@pytest.mark.parametrize(
    ("matches", "said"),
    [
        (None, "is no selector that could be read"),
        (0, "matches nothing on this page"),
        (1, "the one element that #x matches could not be used in time"),
        (4, "the 4 elements that #x matches could not be used in time"),
    ],
)
def test_a_timeout_is_told_as_what_it_means(matches: int | None, said: str) -> None:
    """Playwright's own sentence speaks of a method and of milliseconds."""
    mismatch = Mismatch("#x", matches, ())
    failure = Failure("vehicle", "step_timeout", "Locator.click: Timeout 300ms exceeded.", 1.0, mismatches=(mismatch,))
    assert said in transcript.sentence(failure)
    said_by_recipe = Failure("vehicle", "step_timeout", "lot.toml:3: '#x' matched nothing", 1.0, mismatches=(mismatch,))
    assert transcript.sentence(said_by_recipe) == "lot.toml:3: '#x' matched nothing"


def test_a_login_form_after_the_login_is_pointed_out() -> None:
    """A refusal that the recipe does not recognise looks like that."""
    failure = Failure("log in", "login_failed", "it does not look logged in", 5.0, asks_password=True)
    assert "the site may have refused the login" in "\n".join(transcript.lines(failure))


def test_what_a_site_says_cannot_harm_the_terminal() -> None:
    """No escape sequence, no second line."""
    evil = "\x1b[2J\nok"
    failure = Failure(
        "vehicle", evil, evil, 1.0, url=evil, title=evil, mismatches=(Mismatch(evil, 0, (Thing(evil, evil),)),)
    )
    for line in transcript.lines(failure):
        assert "\x1b" not in line
        assert "\n" not in line
