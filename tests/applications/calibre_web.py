"""Calibre-Web, a library of books: ``python -m tests.applications.calibre_web FOLDER``. A book stands for a vehicle.

Makes a library in FOLDER, says in one line of JSON where it will be and what it holds, and serves it until its standard
input ends. Some books are there in two formats.
"""

import json
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

from tests.applications.papers import digest, free_port, pdf

VEHICLES = 12
_PAGE = 5
"""Books that a page of the listing shows."""
USER, PASSWORD = "admin", "Lot-keeper-17!"
_LONGEST = 60.0
_DAY = "2026-01-01 00:00:00.000000"


def make(folder: Path) -> dict[str, dict[str, str]]:
    """Make the library; return the sha256 of every document by its name, by book."""
    library = folder / "library"
    library.mkdir(parents=True)
    sys.argv = ["cps", "-p", str(folder / "app.db")]  # the import below reads its command line
    from calibreweb.cps.db import Base  # noqa: PLC0415 - see the line above

    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        connection.execute(text(f"attach database '{library / 'metadata.db'}' as calibre"))
        Base.metadata.create_all(connection.execution_options(schema_translate_map={None: "calibre"}))
    engine.dispose()
    truth = {}
    with sqlite3.connect(library / "metadata.db") as books:
        books.execute("insert into library_id (uuid) values ('lot')")
        books.execute("insert into authors (id, name, sort, link) values (1, 'Lot', 'Lot', '')")
        for number in range(1, VEHICLES + 1):
            truth[str(number)] = _add(books, library, number)
    books.close()
    return truth


def _add(books: sqlite3.Connection, library: Path, number: int) -> dict[str, str]:
    title, shelf = f"Vehicle {number}", f"Lot/Vehicle {number} ({number})"
    (library / shelf).mkdir(parents=True)
    books.execute(
        "insert into books (id, title, sort, author_sort, timestamp, pubdate, series_index, last_modified, path,"
        " has_cover, uuid) values (?, ?, ?, 'Lot', ?, ?, '1.0', ?, ?, 0, ?)",
        (number, title, title, _DAY, _DAY, _DAY, shelf, f"book-{number}"),
    )
    books.execute("insert into books_authors_link (book, author) values (?, 1)", (number,))
    contents = {"PDF": pdf(f"The papers of vehicle {number}", pages=1 + number % 3)}
    if number % 5 == 0:
        contents["TXT"] = f"Notes on vehicle {number}".encode()
    for kind, content in contents.items():
        (library / shelf / f"{title} - Lot.{kind.lower()}").write_bytes(content)
        row = (number, kind, len(content), f"{title} - Lot")
        books.execute("insert into data (book, format, uncompressed_size, name) values (?, ?, ?, ?)", row)
    return {f"{title} - Lot.pdf": digest(contents["PDF"])}


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + _LONGEST
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # it tells nobody when it is ready
        else:
            return


def main() -> None:
    """Make and serve."""
    folder, port = Path(sys.argv[1]), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "calibreweb", "-p", str(folder / "app.db")]
    subprocess.run([*command, "-s", f"{USER}:{PASSWORD}"], check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)
    truth = make(folder)
    with sqlite3.connect(folder / "app.db") as settings:
        given = (str(folder / "library"), port, _PAGE)
        settings.execute(
            "update settings set config_calibre_dir = ?, config_port = ?, config_books_per_page = ?", given
        )
    settings.close()
    with subprocess.Popen(
        [*command, "-i", "127.0.0.1", "-o", str(folder / "log")], stdin=subprocess.DEVNULL, stdout=sys.stderr
    ) as server:
        _wait_until_it_listens(port)
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{port}", "truth": truth}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.kill()  # it takes its time to end by itself, and nothing of it is kept


if __name__ == "__main__":
    main()
