"""What can be said of a selector without a browser: the grammar is Playwright's, whose engines are named here.

To it comes one thing: ``|>`` steps into a frame, as in ``iframe#papers |> a.document``.

Source: Playwright's documentation on locators: ``css=``, ``xpath=``, ``text=`` and the others, chained by ``>>``.
"""

import re

_ENGINES = frozenset({
    "css", "css:light", "xpath", "text", "text:light", "id", "id:light", "data-testid", "data-testid:light",
    "data-test-id", "data-test-id:light", "data-test", "data-test:light", "role", "nth", "visible", "_react", "_vue",
})  # fmt: skip
_ENGINE = re.compile(r"([a-zA-Z_0-9:-]+)\s*=(?!=)(.*)", re.DOTALL)
_OWN_PSEUDO = re.compile(
    r":(has-text|text|text-is|text-matches|visible|light|nth-match|left-of|right-of|above|below|near)\b"
)
"""What only Playwright's CSS knows."""

_INTO_FRAME = re.compile(r"\s*\|>\s*")

_PAIRS = {")": "(", "]": "["}


def complaint(selector: str) -> str | None:
    """Return what is wrong with `selector`, or None when it may be one."""
    if not selector.strip():
        return "is empty"
    parts = _chained(selector)
    if parts is None:
        return "has a quote or bracket that is never closed"
    for part in parts:
        if (wrong := _wrong(part.strip())) is not None:
            return wrong
    return None


def for_playwright(selector: str) -> str:
    """Return the selector as Playwright writes it, whose `frame_locator` makes the same of a step into a frame."""
    return _INTO_FRAME.sub(" >> internal:control=enter-frame >> ", selector)


def is_plain_css(selector: str) -> bool:
    """Say whether any browser understands the selector without Playwright's help."""
    text = selector.strip()
    if ">>" in text or text.startswith(("'", '"', "//", "..", "(//", "*")) or _OWN_PSEUDO.search(text):
        return text == "*"
    return _ENGINE.fullmatch(text) is None


def _wrong(part: str) -> str | None:
    if not part:
        return "has nothing on one side of >> or |>"
    if part.startswith(("'", '"')):  # a text
        return None
    if part.startswith(("//", "..", "(//")):
        return _wrong_xpath(part)
    found = _ENGINE.fullmatch(part)
    return _wrong_css(part) if found is None else _wrong_engine(found[1], found[2].strip())


def _wrong_engine(engine: str, body: str) -> str | None:
    if engine not in _ENGINES:
        return f"begins with {engine}=, which is no kind of selector; css=, xpath=, text=, id= and role= are"
    if not body:
        return f"has nothing after {engine}="
    if engine == "xpath":
        return _wrong_xpath(body)
    return _wrong_css(body) if engine.startswith("css") else None


def _wrong_css(css: str) -> str | None:
    bare = _bare(css)
    if re.search(r"\{\w+\}", bare):
        return "has a placeholder outside quotes"
    if re.search(r"[{};]", bare):
        return "has a character that no selector has"
    if re.search(r"^\s*,|,\s*(,|$)", bare) or re.search(r"[>+~]\s*$", bare):
        return "is not complete"
    if re.search(r"(?<!\\)[#.](?=$|[\s#.\[:,>+~)\d])", bare):
        return "has a # or . without a name after it"
    return None


def _wrong_xpath(xpath: str) -> str | None:
    from lxml import etree  # noqa: PLC0415 - only where somebody uses XPath

    try:
        etree.XPath(xpath)
    except etree.XPathSyntaxError as error:
        return f"is no XPath ({error})"
    return None


def _bare(css: str) -> str:
    """Return `css` without what stands in quotes and brackets, where other rules hold."""
    css = re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", "", css)
    return re.sub(r"\[[^\]]*\]|:[\w-]*(?:text|matches)[\w-]*\([^)]*\)", "x", css)


def _chained(selector: str) -> list[str] | None:
    """Return the parts between ``>>``; None when a quote or a bracket is never closed."""
    parts, start, at = [], 0, 0
    quote, open_brackets = "", []
    while at < len(selector):
        character = selector[at]
        if character == "\\":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([":
            open_brackets.append(character)
        elif character in ")]":
            if not open_brackets or open_brackets.pop() != _PAIRS[character]:
                return None
        elif selector.startswith((">>", "|>"), at) and not open_brackets:
            parts.append(selector[start:at])
            start, at = at + 2, at + 1
        at += 1
    return None if quote or open_brackets else [*parts, selector[start:]]
