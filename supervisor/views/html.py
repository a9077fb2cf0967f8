"""Pages from templates: whatever is filled in is made harmless for a reader, and then escaped as HTML."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from supervisor.views.text import clean, duration, noun, number, plural, size

_TEMPLATES = Path(__file__).with_name("templates")
_LIMIT = 1000


@functools.cache
def environment() -> Environment:
    """Return the environment in which all templates are filled in."""
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures: dict[str, Callable[..., str]] = {"duration": duration, "size": size, "plural": plural}
    found.filters |= {name: _in_one_piece(filled) for name, filled in figures.items()}
    found.filters |= {"number": number, "noun": noun, "clock": clock}
    return found


def _in_one_piece(figure: Callable[..., str]) -> Callable[..., str]:
    """Have a figure and its unit stand in one line."""
    return lambda *values: figure(*values).replace(" ", "\N{NO-BREAK SPACE}")


def render(template: str, **values: Any) -> str:
    """Return the template with its values filled in."""
    return environment().get_template(template).render(values)


def markup(text: str) -> Markup:
    """Return text of our own that is HTML already."""
    return Markup(text)  # noqa: S704 - never called with anything of the site's


def asset(name: str) -> str:
    """Return a style sheet or a script as it is."""
    return (_TEMPLATES / name).read_text("utf-8")


def clock(at: str) -> str:
    """Return the time of day of a UTC time in ISO 8601."""
    return at[11:19]


def _harmless(value: Any) -> Any:
    return clean(value, _LIMIT) if isinstance(value, str) and not isinstance(value, Markup) else value
