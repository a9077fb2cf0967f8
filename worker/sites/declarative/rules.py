"""What no type can say about a recipe: forms of texts, placeholders, and keys that need or exclude each other."""

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urljoin, urlsplit

from worker.formats import ANY, FORMATS
from worker.sites.declarative.checking import Problem, Value, shown
from worker.sites.declarative.patterns import NAME_FIELDS, placeholders
from worker.sites.declarative.schema import Documents, Export, Listing, Login, Recipe, Search, Step, Vehicle
from worker.sites.declarative.selectors import complaint
from worker.sites.declarative.toml_lines import Path

ACTIONS = ("click", "fill", "select", "tick", "hover", "press", "wait_for", "wait_gone", "open")
"""The keys of a step that say what is done."""

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:]+\]", re.IGNORECASE)
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def judge(recipe: Recipe, values: Sequence[Value]) -> Iterator[Problem]:
    """Yield what is wrong with a recipe whose types are right; `values` are its texts."""
    for value in values:
        yield from _form(value)
    yield from _start(recipe)
    if recipe.login is not None:
        yield from _login(recipe, recipe.login)
    if recipe.references is not None:
        path: Path = ("references",)
        yield from _exactly_one(path, {"export": recipe.references.export, "listing": recipe.references.listing})
        if recipe.references.export is not None:
            yield from _export((*path, "export"), recipe.references.export)
        if recipe.references.listing is not None:
            yield from _listing((*path, "listing"), recipe.references.listing)
    if recipe.vehicle is not None:
        yield from _vehicle(recipe.vehicle)
    if recipe.documents is not None:
        yield from _documents(recipe.documents)


def resolved(base_url: str, url: str) -> str:
    """Return `url` as a browser would that stands on `base_url`, which is taken for a folder."""
    return urljoin(base_url.rstrip("/") + "/", url)


# ------------------------------------------------------------------------------------------------- forms of texts
def _form(value: Value) -> Iterator[Problem]:
    judge_form = _FORMS.get(value.form)
    wrong = judge_form(value.text) if judge_form is not None else None
    if wrong is not None:
        yield Problem(value.path, f"{shown(value.text)}, which {wrong}", value.expected)
        return
    allowed = _placeholders_at(value)
    if allowed is None:
        return
    try:
        names = placeholders(value.text)
    except ValueError:
        yield Problem(
            value.path, f"{shown(value.text)}, whose braces do not match", f"{_braced(allowed)}; {{{{ for a brace"
        )
        return
    for name in names:
        if name not in allowed:
            yield Problem(value.path, f"{{{name}}} in {shown(value.text)}", _braced(allowed))


def _placeholders_at(value: Value) -> Sequence[str] | None:
    """Return the placeholders that may stand in a text; None where braces are only braces."""
    match value.path:
        case ("references", "listing", "pages"):
            return ("page",)
        case ("documents", "name"):
            return NAME_FIELDS
        case ("vehicle", *_) | ("documents", *_) if value.form in {"url", "selector"} or value.path[-1] == "value":
            return ("ref",)
        case _ if value.form in {"url", "selector"} or value.path[-1] == "value":
            return ()
        case _:
            return None


def _braced(names: Sequence[str]) -> str:
    if not names:
        return "no placeholder, because none has a meaning here"
    return " or ".join(f"{{{name}}}" for name in names) + ", and no other placeholder"


def _wrong_url(url: str) -> str | None:
    if any(character.isspace() for character in url):
        return "has a space in it"
    if _SCHEME.match(url):
        return _wrong_base(url)
    try:
        urlsplit(url)
    except ValueError as error:
        return f"is no address ({error})"
    return None


def _wrong_base(url: str) -> str | None:
    if any(character.isspace() for character in url):
        return "has a space in it"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is no address ({error})"
    if parts.scheme not in {"http", "https"}:
        return "does not begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "names no host"
    if "@" in parts.netloc:
        return "holds a user or password; a secret may not stand in a recipe"
    return None


def _wrong_regex(pattern: str) -> str | None:
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is none ({error})"
    return "has more than one group" if compiled.groups > 1 else None


def _wrong_encoding(name: str) -> str | None:
    try:
        known = codecs.lookup(name)
    except (LookupError, ValueError):
        return "is not known"
    return None if getattr(known, "_is_text_encoding", True) else "is an encoding of bytes, not of text"


def _wrong_secret(name: str) -> str | None:
    if not _SECRET.fullmatch(name):
        return "cannot be the name of one"
    return "begins with NIGHTFLEET_, which is for settings" if name.upper().startswith("NIGHTFLEET_") else None


def _wrong_function(text: str) -> str | None:
    file, colon, name = text.rpartition(":")
    return None if colon and file.endswith(".py") and name.isidentifier() else "is not file.py:function"


_FORMS: dict[str, Callable[[str], str | None]] = {
    "selector": complaint,
    "url": _wrong_url,
    "base": _wrong_base,
    "regex": _wrong_regex,
    "encoding": _wrong_encoding,
    "secret": _wrong_secret,
    "function": _wrong_function,
    "session": lambda text: None if text in {"shared", "own"} else "is none of them",
    "format": lambda name: None if name in FORMATS or name == ANY else "is no format that is known",
    "host": lambda host: None if _HOST.fullmatch(host) else "is no host name: no address, no port, no path",
}


# ------------------------------------------------------------------------------------- keys that belong together
def _exactly_one(path: Path, keys: Mapping[str, object]) -> Iterator[Problem]:
    given = [name for name, value in keys.items() if value is not None]
    names = list(keys)
    wanted = ", ".join(names[:-1]) + f" or {names[-1]}"
    if not given:
        yield Problem(path, "none of them", f"exactly one of {wanted}")
    elif len(given) > 1:
        yield Problem((*path, given[1]), f"{given[1]} beside {given[0]}", f"exactly one of {wanted}")


def _start(recipe: Recipe) -> Iterator[Problem]:
    python = recipe.python
    if python is None or python.process is None:
        for name, table in (("vehicle", recipe.vehicle), ("documents", recipe.documents)):
            if table is None:
                yield Problem((name,), "nothing", f"a table [{name}], or python.process in its place", ())
    if python is not None and python.export_inventory is not None and recipe.references is not None:
        yield Problem(("references",), "references beside python.export_inventory", "one of the two")


def _login(recipe: Recipe, login: Login) -> Iterator[Problem]:
    path: Path = ("login",)
    python = recipe.python
    in_python = python is not None and python.log_in is not None
    if in_python:
        for name, given in (("steps", login.steps), ("submit", login.submit), ("refused", login.refused)):
            if given:
                yield Problem((*path, name), f"{name} beside python.log_in", "one of the two")
    else:
        if login.url is None:
            yield Problem((*path, "url"), "nothing", "the address of the login page", path)
        if not any(step.fill for step in login.steps):
            yield Problem((*path, "steps"), "no step that fills in a field", '{ fill = "#user", secret = "LOT_USER" }')
    if login.logged_in is None and login.logged_out is None and (python is None or python.is_logged_in is None):
        yield Problem((*path, "logged_in"), "nothing", "logged_in or logged_out, a selector that proves it", path)
    yield from _steps((*path, "steps"), login.steps)


def _steps(path: Path, steps: Sequence[Step]) -> Iterator[Problem]:
    for number, step in enumerate(steps):
        yield from _step((*path, number), step)


def _step(path: Path, step: Step) -> Iterator[Problem]:
    given = [name for name in ACTIONS if getattr(step, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "no action"
        yield Problem(path, found, f"exactly one of {', '.join(ACTIONS)} in a step")
        return
    action = given[0]
    takes_value = action in {"fill", "select"}
    if takes_value and (step.value is None) is (step.secret is None):
        found = "both value and secret" if step.value is not None else "neither value nor secret"
        yield Problem((*path, action), found, f"value or secret beside {action}")
    for name, value in (("value", step.value), ("secret", step.secret)):
        if value is not None and not takes_value:
            yield Problem((*path, name), f"{name} beside {action}", f"{name} beside fill or select only")
    if step.on is not None and action != "press":
        yield Problem((*path, "on"), f"on beside {action}", "on beside press only")
    if action in {"open", "press"} and (step.within is not None or step.optional) and step.on is None:
        yield Problem((*path, action), "optional or within beside it", "neither, because nothing is waited for")


def _export(path: Path, export: Export) -> Iterator[Problem]:
    yield from _exactly_one(path, {"click": export.click, "url": export.url})
    if export.form is not None and export.url is None:
        yield Problem((*path, "form"), "form without url", "url, to which the form is sent")
    if export.ready is None and export.ready_page is not None:
        yield Problem((*path, "ready_page"), "ready_page without ready", "ready, which appears there")
    if export.delimiter in '\r\n"':
        yield Problem((*path, "delimiter"), shown(export.delimiter), "one character that separates fields, such as ;")
    yield from _steps((*path, "steps"), export.steps)


def _listing(path: Path, listing: Listing) -> Iterator[Problem]:
    ways = {"next": listing.next, "more": listing.more, "pages": listing.pages}
    if any(ways.values()):
        yield from _exactly_one(path, ways)
    if listing.pages is not None:
        if "{page}" not in listing.pages:
            yield Problem((*path, "pages"), shown(listing.pages), "an address with {page} in it")
        for name, given in (("page", listing.page), ("steps", listing.steps)):
            if given:
                yield Problem((*path, name), f"{name} beside pages", "pages alone, with the filters in its address")
    elif listing.last_page_repeats:
        yield Problem((*path, "last_page_repeats"), "last_page_repeats without pages", "pages")
    yield from _steps((*path, "steps"), listing.steps)


def _vehicle(vehicle: Vehicle) -> Iterator[Problem]:
    path: Path = ("vehicle",)
    yield from _exactly_one(path, {"url": vehicle.url, "search": vehicle.search})
    if vehicle.url is not None and "{ref}" not in vehicle.url:
        yield Problem((*path, "url"), shown(vehicle.url), "an address with {ref}, where the reference belongs")
    if vehicle.search is not None:
        yield from _search((*path, "search"), vehicle.search)
        if vehicle.loaded is None:
            yield Problem(
                (*path, "loaded"), "nothing", "a selector that proves that the search led to the vehicle", path
            )
    yield from _steps((*path, "steps"), vehicle.steps)


def _search(path: Path, search: Search) -> Iterator[Problem]:
    if not any("{ref}" in (step.value or "") for step in search.steps):
        yield Problem((*path, "steps"), "no step that types {ref}", '{ fill = "#search", value = "{ref}" }')
    yield from _steps((*path, "steps"), search.steps)


def _documents(documents: Documents) -> Iterator[Problem]:
    path: Path = ("documents",)
    if documents.links is None and documents.buttons is None:
        yield Problem(path, "neither links nor buttons", "links, buttons or both")
    if documents.link_attribute is not None and documents.links is None:
        yield Problem((*path, "link_attribute"), "link_attribute without links", "links")
    if documents.most is not None and documents.most < documents.fewest:
        yield Problem((*path, "most"), shown(documents.most), f"a number that is not below fewest, {documents.fewest}")
