"""The demo website as its own process, and a client without a browser, for the tests of the demo."""

import contextlib
import csv
import http.client
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "right-password"  # noqa: S105 - of a website that lives for one test
PATIENCE = 20.0
"""Seconds that anything may take on a busy machine before a test gives up on it."""


class Answer(NamedTuple):
    """One response; `complete` is False when the connection ended before the promised length."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """A visitor with cookies, who follows no redirect by himself."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self.cookie = ""

    def send(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        *,
        headers: dict[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> Answer:
        with contextlib.closing(http.client.HTTPConnection(self._host, timeout=timeout)) as connection:
            sent = {"Cookie": self.cookie, **(headers or {})}
            if form is not None:
                sent["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, urlencode(form) if form is not None else None, sent)
            response = connection.getresponse()
            if cookie := response.headers["Set-Cookie"]:
                self.cookie = cookie.split(";")[0]
            try:
                return Answer(response.status, response.headers, response.read(), complete=True)
            except http.client.IncompleteRead as error:
                return Answer(response.status, response.headers, error.partial, complete=False)

    def get(self, path: str, *, timeout: float = PATIENCE) -> Answer:
        return self.send("GET", path, timeout=timeout)

    def json(self, path: str) -> Any:
        return json.loads(self.get(path).body)

    def token(self) -> str:
        found = re.search('name="token" value="([^"]+)"', self.get("/login").text)
        assert found is not None
        return found[1]

    def log_in(self, password: str = PASSWORD, **changed: str) -> Answer:
        return self.send("POST", "/login", {"token": self.token(), "user": "tester", "password": password} | changed)

    def open(self, ref: str, *, timeout: float = PATIENCE) -> Answer:
        return self.get(f"/vehicle/{quote(ref, safe='')}", timeout=timeout)

    def fetch(self, ref: str, name: str, *, timeout: float = PATIENCE) -> Answer:
        """Ask for a document in the way that the vehicle's page offers it."""
        page = self.open(ref).text
        if re.search(f'<a class="document" href="[^"]*/{re.escape(name)}"', page):
            return self.get(_document(ref, name), timeout=timeout)
        return self.send("POST", _document(ref, name), {"token": page_token(page)}, timeout=timeout)


def page_token(page: str) -> str:
    """Return the token that the forms and buttons of a vehicle's page carry."""
    found = re.search('(?:name="token" value|data-token)="([^"]+)"', page)
    assert found is not None
    return found[1]


def _document(ref: str, name: str) -> str:
    return f"/vehicle/{quote(ref, safe='')}/documents/{name}"


class Demo(NamedTuple):
    """A website that runs."""

    url: str
    process: "subprocess.Popen[bytes]"

    def client(self) -> Client:
        return Client(self.url)

    def visitor(self) -> Client:
        """Return a client who is logged in."""
        client = Client(self.url)
        assert client.log_in().status == 303
        return client

    def truth(self) -> dict[str, Any]:
        references: dict[str, Any] = self.client().json("/truth.json")["references"]
        return references

    def with_fault(self, fault: str) -> str:
        return next(ref for ref, known in self.truth().items() if known["fault"] == fault)


def command(*options: object) -> list[str]:
    """Return the command line of the website."""
    return [sys.executable, "-m", "worker.sites.demo", *map(str, options)]


def environment() -> dict[str, str]:
    """Return the environment in which `Client.log_in` has the right password."""
    return os.environ | {"NIGHTFLEET_DEMO_USER": "tester", "NIGHTFLEET_DEMO_PASSWORD": PASSWORD}


@contextlib.contextmanager
def demo(*options: object) -> Iterator[Demo]:
    """Run the website on a free port until the block ends."""
    with subprocess.Popen(
        command("--port", 0, "--until-stdin-closes", *options),
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Demo(json.loads(process.stdout.readline())["url"], process)
        finally:
            process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def rows(export: bytes) -> list[dict[str, str]]:
    """Read an exported inventory."""
    return list(csv.DictReader(io.StringIO(export.decode("utf-8-sig"), newline="")))
