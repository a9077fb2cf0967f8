"""References out of a CSV file that the site exports, at once or when it has prepared it."""

import asyncio
import time
from functools import partial
from pathlib import Path

from worker.downloads import Trigger
from worker.protocol import Kind
from worker.site import Inventory
from worker.sites.declarative import questions
from worker.sites.declarative.pages import Hand, Unmatched
from worker.sites.declarative.schema import Export

_PATH = ("references", "export")
_FILE = "inventory.csv"
_LOOK_EVERY = 0.2

_SUBMIT = """([url, fields]) => {
  const form = document.createElement("form");
  Object.assign(form, {method: "post", action: url, hidden: true});
  for (const [name, value] of fields) {
    const input = document.createElement("input");
    Object.assign(input, {type: "hidden", name, value});
    form.append(input);
  }
  document.body.append(form);
  HTMLFormElement.prototype.submit.call(form);
}"""
"""Sends a form as the site's own page would, with its cookies, referrer and user agent."""


async def export(hand: Hand, wanted: Export) -> Inventory:
    """Bring the file.

    Raises:
        SiteFailure: the site does not give it, or the recipe does not match the page.
    """
    visit = hand.visit
    visit.step("open the inventory")
    await hand.open(hand.url(wanted.page or hand.source.recipe.start_url))
    await hand.run((*_PATH, "steps"), wanted.steps)
    visit.step("export the inventory")
    await hand.pace()
    file = await _save(hand, wanted) if wanted.ready is None else await _save_prepared(hand, wanted, wanted.ready)
    return Inventory(file, wanted.column, wanted.delimiter, wanted.encoding, hand.source.place(_PATH))


async def _save(hand: Hand, wanted: Export) -> Path:
    if wanted.url is not None and wanted.form is None:
        return await hand.visit.save(hand.url(wanted.url), _FILE)
    trigger = await _trigger(hand, wanted)
    return await hand.on((*_PATH, "click"), wanted.click or "", lambda: hand.visit.save(trigger, _FILE))


async def _trigger(hand: Hand, wanted: Export) -> Trigger:
    """Return what starts the download, or its preparation."""
    if wanted.click is not None:
        button = await hand.one((*_PATH, "click"), wanted.click, hand.patience)
        return lambda: button.click(timeout=hand.patience * 1000)
    page, url = hand.visit.page, hand.url(wanted.url or "")
    if wanted.form is None:
        return lambda: hand.visit.goto(url)
    fields = list(wanted.form.items())
    return lambda: page.evaluate(_SUBMIT, [url, fields])


async def _save_prepared(hand: Hand, wanted: Export, ready: str) -> Path:
    visit = hand.visit
    page = hand.url(wanted.ready_page) if wanted.ready_page else visit.page.url
    before = await hand.ask(ready, questions.MARKS)
    trigger = await _trigger(hand, wanted)
    await hand.on((*_PATH, "click"), wanted.click or "", trigger)
    visit.step("wait until the export is ready")
    end = time.monotonic() + wanted.ready_within
    while True:
        marks = await hand.ask(ready, questions.MARKS)
        fresh = [number for number, mark in enumerate(marks) if mark not in before]
        if len(fresh) > 1:
            raise await hand.unmatched((*_PATH, "ready"), ready, len(fresh), wanted.ready_within)
        if fresh:
            button = hand.locator(ready).nth(fresh[0])
            await hand.pace()
            return await hand.on((*_PATH, "ready"), ready, partial(visit.save, button.click, _FILE))
        if time.monotonic() > end:
            await visit.prove_session()
            there = "only as it was before the export was asked for" if marks else "at all"
            sentence = f"was not there within {wanted.ready_within:g} s, {there}"
            place = hand.source.place((*_PATH, "ready"))
            raise Unmatched(Kind.STEP_TIMEOUT, place, ready, sentence, matched=len(marks), url=visit.page.url)
        await asyncio.sleep(wanted.reload_every or _LOOK_EVERY)
        if wanted.reload_every:
            await hand.open(page)
