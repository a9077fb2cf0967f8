"""A website's login is found where sites have it; whatever else is there gets one sentence."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from tests.worker.child import BROWSER
from tests.worker.login_pages import LoginPages
from worker.sketching.explore import explore
from worker.sketching.messages import Found, LoginForm, Problem

PROGRAM = BROWSER if Path(BROWSER).exists() else None
pytestmark = pytest.mark.browser

NO_PAGES = {
    "/data.json": "is application/json, and a web page (HTML) is needed",
    "/nowhere": "cannot be used: the site answered 404 (Not Found)",
    "/pdf/a.pdf": "is a download, and a web page is needed",
    "/export": "is a download, and a web page is needed",
}


async def look(url: str, *paths: str) -> dict[str, Found | Problem]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PROGRAM)
        answers = {}
        for path in paths:
            page = await browser.new_page()
            answers[path] = await explore(page, url + path if path.startswith("/") else path)
        await browser.close()
        return answers


def test_what_a_website_shows_before_its_login() -> None:
    """A link in another language, a dialog made by a script, a form to register beside it; no page, no site."""
    with LoginPages() as site:
        seen = asyncio.run(look(site.url, "/", "/dialog", "/register", "/basic", *NO_PAGES, "http://nowhere.invalid/"))

    front = form(seen["/"])
    assert front.url == f"{site.url}/login?next=%2Finventory&lang=de"
    assert (front.user and front.user.selector, front.password.selector) == ("#user", "#password")
    assert isinstance(seen["/"], Found)
    assert [link.label for link in seen["/"].lists] == ["Stock"]

    dialog = form(seen["/dialog"])
    assert dialog.opener is not None
    assert dialog.opener.selector == 'button:has-text("Log in")'
    assert dialog.submit is not None
    assert dialog.submit.label == "Continue"
    assert dialog.user is not None
    assert (dialog.user.kind, dialog.user.label) == ("email", "Mail")
    assert [other.kind for other in dialog.others] == ["text", "checkbox"]

    registration = form(seen["/register"])
    assert registration.password.selector == 'input[name="password"]'
    assert registration.submit is not None
    assert registration.submit.label == "Go"

    basic = seen["/basic"]
    assert isinstance(basic, Found)
    assert (basic.basic, basic.login) == (True, None)

    for path, said in NO_PAGES.items():
        assert seen[path] == Problem(f"{site.url}{path} {said}")
    nowhere = seen["http://nowhere.invalid/"]
    assert isinstance(nowhere, Problem)
    assert nowhere.sentence.startswith("http://nowhere.invalid/ cannot be opened: the site cannot be found")


def form(seen: Found | Problem) -> LoginForm:
    assert isinstance(seen, Found)
    assert seen.login is not None
    return seen.login
