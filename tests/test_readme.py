"""What README says of settings is what they are."""

import re
from pathlib import Path

from supervisor.settings import CATALOGUE
from tests.chaos.test_table import table_of_troubles
from tests.fuzz.test_run_directories import FOUND
from tests.simulation.mistakes import MISTAKES
from tests.worker.declarative.test_reading import WRONG

_README = Path(__file__).parents[1] / "README.md"
_ROW = re.compile(r"^\| (?P<flags>`--[^|]+) \| (?P<defaults>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE)
_UNITS = {"": 1, "s": 1, "h": 3600, "MB": 1e6, "GB": 1e9}
_WORDS: dict[str, object] = {"none": "", "on": True}


def _rows() -> dict[str, tuple[str, str]]:
    """Return default and meaning by flag, as the tables of settings say."""
    found: dict[str, tuple[str, str]] = {}
    for row in _ROW.finditer(_README.read_text("utf-8")):
        flags = re.findall(r"`(--[a-z-]+)`", row["flags"])
        defaults = row["defaults"].removesuffix(", no limit").split(", ")
        if len(flags) == len(defaults):
            found |= {flag: (default, row["meaning"]) for flag, default in zip(flags, defaults, strict=True)}
    return found


def _value(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    number, _, unit = text.partition(" ")
    return float(number) * _UNITS[unit]


def test_the_tables_tell_the_true_defaults() -> None:
    """Every row of a setting, whatever its unit."""
    rows = _rows()
    assert len(rows) > 25
    settings = {setting.flag: setting for setting in CATALOGUE.values()}
    for flag, (default, _) in rows.items():
        true = settings[flag].default
        if flag == "--workers":
            true = true.least
        assert _value(default) == true, f"{flag} is {true}, README says {default}"


def test_every_policy_for_troubles_outside_is_explained_in_one_sentence() -> None:
    """Outages, limits, retries, sick workers and the machine; no sentence is left out, and none grows into several."""
    policies = [
        name
        for name in CATALOGUE
        if re.match(
            r"(breaker|outage|throttle|retry|poison|sick|stolen|login|memory|disk)_|.*_per_minute|quiet|free_", name
        )
    ]
    rows = _rows()
    for name in policies:
        flag = CATALOGUE[name].flag
        assert flag in rows, f"README has no row for {flag}"
        assert ". " not in rows[flag][1], f"README has several sentences for {flag}"


def test_the_table_of_promises_counts_what_there_is() -> None:
    """No figure is more than what the tests have, nor much less."""
    text = _README.read_text("utf-8")
    for pattern, there in (
        (r"(\d+) of \d+ found", len(MISTAKES)),
        (r"(\d+) deliberate mistakes", len(MISTAKES)),
        (r"(\d+) that once did harm", len(FOUND)),
        (r"(\d+) wrong TOML recipes", len(WRONG)),
        (r"(\d+) kinds of trouble", len(table_of_troubles())),
    ):
        found = re.search(pattern, text)
        assert found, pattern
        assert 0.8 * there <= int(found[1]) <= there, f"{found[0]}, and there are {there}"
