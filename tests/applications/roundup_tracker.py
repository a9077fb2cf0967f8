"""Roundup, an issue tracker: ``python -m tests.applications.roundup_tracker FOLDER``. An issue stands for a vehicle.

Makes a tracker with issues and PDFs in FOLDER, says in one line of JSON where it is and what it holds, and serves it
until its standard input ends.
"""

import contextlib
import json
import sys
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import roundup.instance
from roundup.admin import AdminTool
from roundup.cgi.wsgi_handler import RequestDispatcher
from roundup.password import Password

from tests.applications.papers import digest, free_port, pdf

VEHICLES = 7
USER, PASSWORD = "clerk", "clerk-17-pass"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the library
        """Say nothing: standard output is the test's."""


def make(folder: Path, url: str) -> dict[str, dict[str, str]]:
    """Make the tracker; return the sha256 of every document by its name, by issue."""
    home = str(folder)
    tool = AdminTool()
    tool.tracker_home = home
    tool.do_install(
        home, ["install", "classic", "anydbm", f"tracker_web={url},mail_domain=lot.example,mail_host=127.0.0.1"]
    )
    tool.do_initialise(home, ["initialise", "keeper-17-pass"])
    database = roundup.instance.open(home).open("admin")
    secret = Password(PASSWORD, config=database.config)
    database.user.create(username=USER, password=secret, address="clerk@lot.example", roles="User")
    truth: dict[str, dict[str, str]] = {}
    for number in range(1, VEHICLES + 1):
        kinds = ("invoice", "title") if number % 2 else ("invoice",)
        papers = {f"{kind} {number}.pdf": pdf(f"{kind} of vehicle {number}") for kind in kinds}
        files = [
            database.file.create(name=name, type="application/pdf", content=content) for name, content in papers.items()
        ]
        issue = database.issue.create(title=f"Vehicle {number}", files=files)
        truth[issue] = {name: digest(content) for name, content in papers.items()}
    database.commit()
    database.close()
    return truth


def main() -> None:
    """Make and serve."""
    folder, port = Path(sys.argv[1]), free_port()
    url = f"http://127.0.0.1:{port}/"
    with contextlib.redirect_stdout(sys.stderr):
        truth = make(folder, url)
    server = make_server("127.0.0.1", port, RequestDispatcher(str(folder)), _Server, _Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"url": url.rstrip("/"), "truth": truth}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
