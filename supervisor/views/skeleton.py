"""The first draft of a recipe in TOML, out of what a look at the website's login page has found.

It loads without an error as it stands. What could only be guessed is marked with ``# GAP`` and says what belongs there.
"""

import json
import re
from datetime import date
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from supervisor.views.text import clean
from worker.sketching.messages import Control, Found, LoginForm

GAP = "# GAP"
_BACK = re.compile(
    r"(?i)^(next|then|return|redirect|continue|goto|from|back|ref|service|target|dest\w*|\w*url|\w*uri)$"
)
"""Query parameters of login pages that only tell where one came from."""

_SECOND_LEVEL = {"co", "com", "org", "net", "gov", "ac"}
_TICKED = {"checkbox", "radio"}


class Skeleton(msgspec.Struct, frozen=True):
    """The text of the file, and what is to be done with it."""

    text: str
    secrets: tuple[str, ...]
    gaps: tuple[int, ...]
    """Numbers of the lines that begin with `GAP`, counted from 1."""


def name_of(found: Found) -> str:
    """Return a short name for the site, fit for a file: from its host, or from its title where that is a number."""
    host = urlsplit(found.url).hostname or ""
    labels = [label for label in host.split(".") if label not in {"www", ""}]
    if len(labels) > 1 and not all(label.isdigit() for label in labels):
        last = -3 if len(labels) > 2 and labels[-2] in _SECOND_LEVEL else -2  # noqa: PLR2004 - as in lot.co.uk
        if word := _word(labels[last]):
            return word
    title = re.split(r"\s[·|\u2013\u2014-]\s", found.title)[-1]
    return _word(title.split()[0]) if title.split() and _word(title.split()[0]) else "site"


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]


def skeleton(found: Found, *, name: str, schema: str, day: date) -> Skeleton:
    """Return the draft.

    Args:
        found: what the website showed.
        name: of the site, from `name_of` or from the file that the user named.
        schema: where the JSON schema is, as seen from the file.
        day: today.
    """
    parts = urlsplit(found.url)
    base = f"{parts.scheme}://{parts.netloc}"
    prefix = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "SITE"
    if prefix[0].isdigit() or prefix.startswith("NIGHTFLEET"):
        prefix = f"SITE_{prefix}"
    secrets = (f"{prefix}_USER", f"{prefix}_PASSWORD")
    lines = [
        f"#:schema {clean(schema, 4000)}",
        f"# {clean(found.title or name, 80)}, drafted from its login page on {day.isoformat()}.",
        f"# What could only be guessed is marked with {GAP}. After each change: run.py check {clean(name)}.toml",
        "",
        f"base_url = {_text(base)}",
        *_start(found, base),
        *(_login(found.login, base, secrets) if found.login else _no_login(found, secrets)),
        *_rest(found),
    ]
    gaps = tuple(number for number, line in enumerate(lines, 1) if line.startswith(GAP))
    return Skeleton("\n".join(lines) + "\n", secrets if found.login or found.basic else (), gaps)


def _start(found: Found, base: str) -> list[str]:
    landed = _path(found.asked, base)
    if not landed.startswith("/") or (found.login is not None and landed == _path(found.login.url, base)):
        landed = "/"
    inventory = next((link.href for link in found.lists if link.href.startswith(base)), "")
    return [
        f"{GAP}: the page with the inventory, on which one stands after the login.",
        *_candidates("links that may lead there", found.lists),
        f"start_url = {_text(_pattern(_path(inventory, base) if inventory else landed))}",
    ]


def _login(login: LoginForm, base: str, secrets: tuple[str, ...]) -> list[str]:
    user, password = secrets
    steps = []
    if login.opener is not None:
        steps.append(f"    {{ click = {_selector(login.opener)} }},  # opens the form")
    if login.user is not None:
        steps.append(f"    {{ fill = {_selector(login.user)}, secret = {_text(user)} }},  # {_called(login.user)}")
    steps.append(
        f"    {{ fill = {_selector(login.password)}, secret = {_text(password)} }},  # {_called(login.password)}"
    )
    steps += [f"    # {_other(other)}" for other in login.others]
    lines = [
        "",
        "[login]",
        f"url = {_text(_pattern(_path(login.url, base)))}",
        "# User and password come from the environment, or from files that the variables with _FILE name.",
        "steps = [",
        *steps,
        "]",
    ]
    if login.captcha:
        lines.insert(2, f"{GAP}: there is a puzzle for people (a captcha) at this login, which no program passes.")
    if login.user is None:
        lines.append(f"{GAP}: no field for the user was found beside the password; add a step for it, if there is one.")
    if login.submit is not None:
        lines.append(f"submit = {_selector(login.submit)}  # {_called(login.submit)}")
    else:
        lines.append('# submit = "button"  # no button was found: Enter is pressed in the last field')
    return [
        *lines,
        "# The password's field stands on a page only when nobody is logged in.",
        f"logged_out = {_selector(login.password)}",
        f"{GAP}: better proof: what stands on every page of somebody who is logged in, such as the way out.",
        '# logged_in = "text=Log out"',
        f"{GAP}: what shows when user or password are refused. (The form coming back counts as well.)",
        '# refused = ".error"',
    ]


def _no_login(found: Found, secrets: tuple[str, ...]) -> list[str]:
    if found.basic:
        user, password = secrets
        return [
            "",
            "# The site asks for user and password by HTTP itself, not with a form.",
            "[access.basic_auth]",
            f"user = {_text(user)}",
            f"password = {_text(password)}",
        ]
    return [
        "",
        f"{GAP}: no field for a password was found, neither at this address nor behind a link to a login.",
        "# If there is a login all the same, run new-site with the address of its page.",
        "# [login]",
    ]


def _rest(found: Found) -> list[str]:
    export = found.exports[0] if found.exports else None
    return [
        "",
        "[references.export]",
        f"{GAP}: what exports the inventory as CSV, and the column that holds the references.",
        "# Where pages list the vehicles instead: [references.listing] in the README.",
        *_candidates("what may be it", found.exports),
        f"click = {_selector(export) if export else _text('text=Export')}",
        'column = "Stock No"',
        "",
        "[vehicle]",
        f"{GAP}: the address of a vehicle's page, {{ref}} for its reference; and what is there when it has loaded.",
        "# Where one has to search for a vehicle: [vehicle.search] in the README.",
        'url = "/vehicle/{ref}"',
        '# loaded = "#documents"',
        "",
        "[documents]",
        f"{GAP}: the links to the documents on that page; and the buttons, which are what has to be clicked.",
        "links = \"a[href$='.pdf']\"",
        '# buttons = "button.download"',
    ]


def _candidates(what: str, controls: tuple[Control, ...]) -> list[str]:
    if not controls:
        return []
    return [f"# Seen without a login, {what}:", *(f"#   {_plain(one.selector)}  {_called(one)}" for one in controls)]


def _called(control: Control) -> str:
    kind = control.kind if control.kind in {"link", "button", "select"} else f"{clean(control.kind, 20)} field"
    label = f"{kind} {clean(control.label, 60)!r}" if control.label else kind
    return f"{label} to {clean(control.href, 100)}" if control.href else label


def _other(control: Control) -> str:
    """Return a step for a further field of the form, to stand in a comment."""
    by = _selector(control)
    if control.kind in _TICKED:
        return f"{{ tick = {by} }},  # {_called(control)}"
    action = "select" if control.kind.startswith("select") else "fill"
    return f'{{ {action} = {by}, value = "…" }},  # {_called(control)}'


def _path(url: str, base: str) -> str:
    """Return an address as it stands in a recipe: relative to `base` where it is below it, without the way back."""
    parts = urlsplit(url)
    query = urlencode([pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _BACK.match(pair[0])])
    path = (parts.path or "/") + (f"?{query}" if query else "")
    return path if f"{parts.scheme}://{parts.netloc}" == base else f"{parts.scheme}://{parts.netloc}{path}"


def _selector(control: Control) -> str:
    return _text(_pattern(control.selector))


def _pattern(text: str) -> str:
    """Return a text in which a brace is only a brace."""
    return text.replace("{", "{{").replace("}", "}}")


def _plain(text: str) -> str:
    return clean(text, 120)


def _text(text: str) -> str:
    """Return a string of TOML: a literal one where that spares escapes, else a basic one, whose escapes are JSON's."""
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")
