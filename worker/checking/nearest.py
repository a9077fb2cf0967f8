"""What a page has that a recipe could mean: the nearest things to a selector, and documents that it overlooks."""

import difflib
import re
from collections import Counter
from pathlib import Path

import msgspec

from worker.checking.messages import Thing
from worker.checking.selectors import Word, words

COLLECT = (Path(__file__).with_name("things.js")).read_text("utf-8").partition("\n")[2]
"""A function for the page; it takes the most things to be collected and returns what `Collected` describes."""

MARK = """(elements, whole) => {
  for (const element of elements) {
    element.nightfleetSeen = true;
    for (const inner of whole ? element.querySelectorAll("*") : []) inner.nightfleetSeen = true;
  }
}"""
"""A function for elements that the recipe has used, so that `COLLECT` knows them."""

MOST_COLLECTED = 3_000
MOST_SHOWN = 5

_NEAR = 0.5
"""From here on two words are called similar."""

_FILE = re.compile(r"(?i)\.(pdf|docx?|odt|rtf|xlsx?|ods|zip|tiff?|eml|msg|p7m)($|[?#\s])")
_DOWNLOAD = re.compile(r"(?i)download|herunterlad|t[ée]l[ée]charg|descarg|scarica|\bpdf\b")

_PLAIN = re.compile(r"^-?[A-Za-z_][\w-]*$")


class Item(msgspec.Struct, frozen=True):
    """One element, as the page described it: untrusted."""

    tag: str
    sort: str
    """``link``, ``button``, ``field``, or the tag."""
    label: str = ""
    """What a person reads on it or beside it."""
    type: str = ""
    visible: bool = True
    id: str = ""
    seen: bool = False
    """The recipe has used it."""
    unique: bool = False
    """No other element has its id."""
    name: str = ""
    classes: tuple[str, ...] = ()
    href: str = ""
    data: tuple[tuple[str, str], ...] = ()

    @property
    def what(self) -> str:
        """What a person sees."""
        kind = f"{self.type} field" if self.sort == "field" and self.type else self.sort
        shown = f"{kind} {self.label!r}" if self.label else kind
        shown += f" to {self.href}" if self.href else ""
        return shown if self.visible else f"hidden {shown}"


class Collected(msgspec.Struct, frozen=True):
    """What `COLLECT` returns."""

    things: tuple[Item, ...]
    title: str = ""
    password: bool = False


def nearest(selector: str, items: tuple[Item, ...]) -> tuple[Thing, ...]:
    """Return at most five things that resemble what `selector` asks for, the nearest first.

    When nothing resembles it, those of the kind that it asks for (links, buttons, fields) are named.
    """
    wanted = words(selector)
    groups: dict[str, list[tuple[float, Item]]] = {}
    for item in items:
        score, found = max(
            ((_score(word, sort, text), by) for word in wanted for sort, text, by in _handles(item)),
            default=(0.0, ""),
            key=lambda pair: pair[0],
        )
        if score >= _NEAR:
            bonus = 0.1 * any(word.sort == "tag" and word.text == item.tag for word in wanted)
            bonus += 0.05 * (item.sort in {"link", "button", "field"}) + 0.02 * item.visible
            groups.setdefault(found, []).append((score + bonus, item))
    ranked = sorted(groups.items(), key=lambda pair: -max(score for score, _ in pair[1]))
    shown = [Thing(by, max(found, key=lambda pair: pair[0])[1].what, len(found)) for by, found in ranked]
    return _distinct(shown) or _of_the_kind(wanted, items)


def overlooked(items: tuple[Item, ...]) -> tuple[Thing, ...]:
    """Return at most five links and buttons that look like documents and that the recipe has not used."""
    named = {by for item in items if item.seen for _, _, by in _handles(item)}
    offers = [item for item in items if not item.seen and _is_offer(item)]
    shared = Counter(by for item in offers for _, _, by in _handles(item) if by not in named)
    groups: dict[str, list[Item]] = {}
    for item in offers:
        handles = [by for _, _, by in _handles(item) if by in shared]
        if handles:
            groups.setdefault(max(handles, key=lambda by: shared[by]), []).append(item)
    return tuple(Thing(by, found[0].what, len(found)) for by, found in groups.items())[:MOST_SHOWN]


def _is_offer(item: Item) -> bool:
    if item.sort not in {"link", "button"}:
        return False
    return any(_FILE.search(text) for text in (item.href, item.label)) or bool(_DOWNLOAD.search(item.label))


def _distinct(things: list[Thing]) -> tuple[Thing, ...]:
    """Leave out what only another selector for the same thing shows."""
    kept: dict[tuple[str, int], Thing] = {}
    for thing in things:
        kept.setdefault((thing.what, thing.count), thing)
    return tuple(kept.values())[:MOST_SHOWN]


def _of_the_kind(wanted: tuple[Word, ...], items: tuple[Item, ...]) -> tuple[Thing, ...]:
    tags = {word.text for word in wanted if word.sort == "tag"}
    alike = [item for item in items if item.tag in tags] or [
        item for item in items if item.sort in {"link", "button", "field"} and item.visible
    ]
    return _distinct([Thing(_handles(item)[0][2], item.what) for item in alike if _handles(item)])


def _score(word: Word, sort: str, text: str) -> float:
    ours, theirs = word.text.casefold(), text.casefold()
    if word.sort == "tag":
        return 0.0  # every page has links; a tag only adds to what else is alike
    ratio = difflib.SequenceMatcher(None, ours, theirs).ratio()
    if min(len(ours), len(theirs)) >= 3 and (ours in theirs or theirs in ours):  # noqa: PLR2004 - shorter is chance
        ratio = max(ratio, 0.8)
    return ratio if word.sort == sort else ratio * 0.9


def _handles(item: Item) -> list[tuple[str, str, str]]:
    """Return by what an element is found: the sort of word, the word, the selector; the best one first."""
    handles = []
    if item.id:
        by = f"#{item.id}" if _PLAIN.match(item.id) else f'[id="{_escaped(item.id)}"]'
        handles.append(("id", item.id, by))
    if item.name:
        handles.append(("name", item.name, f'{item.tag}[name="{_escaped(item.name)}"]'))
    handles += [("name", value, f'{item.tag}[{name}="{_escaped(value)}"]') for name, value in item.data]
    handles += [("class", name, f"{item.tag}.{name}") for name in item.classes if _PLAIN.match(name)]
    if item.label:
        if item.sort in {"link", "button", "summary"}:
            handles.append(("text", item.label, f'{item.tag}:has-text("{_escaped(item.label)}")'))
        elif handles:
            handles.append(("text", item.label, handles[0][2]))
    if item.href:
        handles.append(("name", item.href, f'a[href="{_escaped(item.href)}"]'))
    if item.sort in {"field", "button"} and item.type:
        handles.append(("name", item.type, f'{item.tag}[type="{_escaped(item.type)}"]'))
    return handles


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
