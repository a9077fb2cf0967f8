"""Questions to a page about all elements that match a selector, asked in one evaluation each.

A selector that any browser understands is asked without a locator: before the first use of one, Playwright loads its
own scripts of 300 KB into the page. Like Playwright, the search looks into open shadow roots.
"""

from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker.protocol import Kind
from worker.site import SiteFailure
from worker.sites.declarative.selectors import is_plain_css

COUNT = "all => all.length"
SHOWN = """all => all.filter(one => {
  const box = one.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && one.checkVisibility({visibilityProperty: true});
}).length"""
"""How many of them can be seen."""

TEXTS = "(all, attribute) => all.map(one => (attribute ? one.getAttribute(attribute) : one.textContent) ?? '')"
SENTENCES = (
    """all => all.filter(one => one.checkVisibility({visibilityProperty: true})).map(one => one.innerText ?? "")"""
)
"""What they say to somebody who looks at the page."""

MARKS = "all => all.map(one => one.outerHTML)"
LINKS = """(all, attribute) => all.map(one => ({
  url: attribute ? one.getAttribute(attribute) ?? "" : one.href || one.src || one.data || "",
  text: one.textContent.trim() || one.getAttribute("aria-label") || one.title || "",
  tag: one.tagName.toLowerCase(),
}))"""
USABLE = """all => {
  const disabled = /(^|\\s|-)disabled(\\s|$)/;
  return all.filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled
    && one.getAttribute("aria-disabled") !== "true"
    && ![one, one.parentElement].some(near => disabled.test(near?.getAttribute("class") ?? ""))).length;
}"""
"""How many of them a pager still offers: on the last page its link is missing, hidden, or disabled in some way."""

ADDRESSES = "all => all.map(one => one.tagName === 'A' && one.getAttribute('href') ? one.href : '')"

_DEEP = """([css, argument]) => {
  const all = [];
  const look = root => {
    all.push(...root.querySelectorAll(css));
    for (const one of root.querySelectorAll("*")) if (one.shadowRoot) look(one.shadowRoot);
  };
  look(document);
  return (%s)(all, argument);
}"""

_MOVING = ("Execution context was destroyed", "Cannot find context", "navigat")
"""What Playwright says of a page that is just moving on."""

_NO_SELECTOR = ("is not a valid selector", "while parsing", "Unexpected token", "Unknown engine", "not a valid XPath")


async def ask(page: Page, selector: str, question: str, argument: object = None) -> Any:
    """Return what `question`, one of this module's, finds out about all that matches; None while the page moves on.

    Raises:
        SiteFailure: `RECIPE_ERROR`, the browser does not take it for a selector.
        playwright.async_api.Error: the page is gone.
    """
    try:
        if is_plain_css(selector):
            return await page.evaluate(_DEEP % question, [selector, argument])
        return await page.locator(selector).evaluate_all(question, argument)
    except PlaywrightTimeout:
        raise
    except PlaywrightError as error:
        if any(mark in error.message for mark in _NO_SELECTOR):
            message = f"the browser does not understand the selector {selector!r}"
            raise SiteFailure(Kind.RECIPE_ERROR, message, url=page.url) from error
        if not any(mark in error.message for mark in _MOVING):
            raise
        return None
