"""The website's HTML. Everything that is put into a page is escaped here."""

from html import escape
from urllib.parse import quote

from worker.sites.demo.pictures import VIEWS
from worker.sites.demo.vehicles import Vehicle

ENDLESS_SCRIPT = "<script>addEventListener('DOMContentLoaded', () => setTimeout(() => { for (;;); }, 0));</script>"
RENDERER_CRASH = "<script>'x'.repeat(2 ** 28).split('');</script>"
"""An array beyond the engine's largest: the renderer dies in a third of a second, with 350 MB."""
ALERT = "<script>alert('This vehicle is reserved for another customer.');</script>"


def vehicle_path(ref: str) -> str:
    """Return the path of a vehicle's page, its reference quoted as one segment."""
    return f"/vehicle/{quote(ref, safe='')}"


def _page(title: str, body: str, *, user: str = "", head: str = "") -> str:
    account = (
        f'<nav><a href="/inventory">Inventory</a><span class="user">{escape(user)}</span>'
        '<a id="log-out" href="/logout">Log out</a></nav>'
        if user
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Harbour Lane Motors</title>"
        f'<link rel="stylesheet" href="/static/style.css"><script src="/static/script.js" defer></script>{head}</head>'
        f'<body><header><a class="brand" href="/inventory">Harbour Lane Motors</a>{account}</header>'
        f"<main>{body}</main><footer>Harbour Lane Motors · Dealer inventory</footer></body></html>"
    )


def login(token: str, then: str, error: str = "") -> str:
    """Return the login form; it leads to the path `then`."""
    complaint = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return _page(
        "Log in",
        f'<form id="log-in" class="card" method="post" action="/login"><h1>Dealer log-in</h1>{complaint}'
        f'<input type="hidden" name="token" value="{escape(token)}"><input type="hidden" name="then" '
        f'value="{escape(then)}"><label>User<input id="user" name="user" autocomplete="username" required></label>'
        '<label>Password<input id="password" name="password" type="password" autocomplete="current-password" required>'
        '</label><button type="submit">Log in</button></form>',
    )


def inventory(cars: list[Vehicle], number: int, last: int, total: int, user: str) -> str:
    """Return page `number` of `last` of the inventory."""
    rows = "".join(
        f'<tr><td><a href="{vehicle_path(car.ref)}">{escape(car.ref)}</a></td>'
        f"<td>{escape(car.title)}</td><td>{escape(car.colour)}</td><td>{car.vin}</td>"
        f'<td class="number">{car.mileage:,} km</td><td class="number">€ {car.price:,}</td></tr>'
        for car in cars
    )
    back = f'<a rel="prev" href="/inventory?page={number - 1}">← Previous</a>' if number > 1 else "<span></span>"
    forth = f'<a rel="next" href="/inventory?page={number + 1}">Next →</a>' if number < last else "<span></span>"
    return _page(
        "Inventory",
        f'<div class="bar"><h1>Inventory <small>{total} vehicles</small></h1>'
        '<a id="export" class="button" href="/inventory/export.csv">Export CSV</a></div>'
        '<table id="inventory"><thead><tr><th>Stock No</th><th>Vehicle</th><th>Colour</th><th>VIN</th>'
        f'<th class="number">Mileage</th><th class="number">Price</th></tr></thead><tbody>{rows}</tbody></table>'
        f'<div class="pager">{back}<span>Page {number} of {last}</span>{forth}</div>',
        user=user,
    )


def vehicle(car: Vehicle, deliveries: tuple[str, ...], token: str, user: str, *, blank: bool, extra: str) -> str:
    """Return the page of a vehicle. With `blank` its first document opens a window; `extra` is trusted HTML."""
    path = vehicle_path(car.ref)
    photos = "".join(
        f'<img src="{path}/photo-{view}.jpg" width="480" height="300" alt="Photo {view} of {escape(car.title)}">'
        for view in range(1, VIEWS + 1)
    )
    facts = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>"
        for name, value in (
            ("Stock No", car.ref),
            ("VIN", car.vin),
            ("Colour", car.colour),
            ("Mileage", f"{car.mileage:,} km"),
            ("Price", f"€ {car.price:,}"),
        )
    )
    documents = "".join(
        f"<li><span>{name.removesuffix('.pdf').capitalize()}</span>"
        f"{_offer(f'{path}/documents/{name}', name, delivery, token, blank=blank and position == 0)}</li>"
        for position, (name, delivery) in enumerate(zip(car.documents, deliveries, strict=True))
    )
    return _page(
        f"{car.ref} {car.title}",
        f'<h1>{escape(car.title)}</h1><div class="photos">{photos}</div><div class="columns">'
        f'<section class="card"><h2>Vehicle</h2><dl>{facts}</dl></section><section class="card"><h2>Documents</h2>'
        f'<ul id="documents" data-count="{len(car.documents)}">{documents}</ul></section></div>{extra}',
        user=user,
    )


def _offer(path: str, name: str, delivery: str, token: str, *, blank: bool) -> str:
    if delivery == "link":
        target = ' target="_blank"' if blank else ""
        return f'<a class="document" href="{path}" data-name="{name}"{target}>{name}</a>'
    if delivery == "form":
        return (
            f'<form method="post" action="{path}"><input type="hidden" name="token" value="{escape(token)}">'
            f'<button class="document" data-name="{name}">Download</button></form>'
        )
    return (
        f'<button class="document" type="button" data-name="{name}" data-path="{path}" '
        f'data-token="{escape(token)}">Download</button>'
    )


def moved(path: str, user: str) -> str:
    """Return a page that sends the browser on to `path` by meta refresh, at once."""
    return _page(
        "One moment",
        "<h1>One moment…</h1><p>This vehicle has moved.</p>",
        user=user,
        head=f'<meta http-equiv="refresh" content="0; url={escape(path)}">',
    )


def notice(title: str, text: str, user: str = "") -> str:
    """Return a page with one sentence, for what did not work."""
    return _page(title, f'<section class="card"><h1>{escape(title)}</h1><p>{escape(text)}</p></section>', user=user)
