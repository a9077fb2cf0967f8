"""Every key of a declarative recipe: its type, its limits and one line of help. Errors and editors read this table."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from worker.formats import ANY, FORMATS

Text = Annotated[str, Meta(min_length=1, max_length=4_000)]
Typed = Annotated[str, Meta(max_length=4_000)]
Selector = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4_000,
        extra={"form": "selector", "expected": "a selector, such as '#export' or \"text=Export\""},
    ),
]
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4_000,
        extra={"form": "url", "expected": "an address, such as '/inventory', relative to base_url"},
    ),
]
Regex = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1_000,
        extra={"form": "regex", "expected": "a regular expression with at most one group"},
    ),
]
SecretName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        extra={
            "form": "secret",
            "expected": "the name of an environment variable, such as LOT_PASSWORD, and not one that begins with "
            "NIGHTFLEET_",
        },
    ),
]
Format = Annotated[
    str,
    Meta(
        extra_json_schema={"enum": [*FORMATS, ANY]},
        extra={"form": "format", "expected": f"one of {', '.join((*FORMATS, ANY))}"},
    ),
]
Function = Annotated[
    str,
    Meta(
        min_length=4, max_length=1_000, extra={"form": "function", "expected": "a function, such as 'steps.py:process'"}
    ),
]
Most = Annotated[int, Meta(ge=1, le=10_000)]
Seconds = Annotated[float, Meta(ge=0, le=3_600)]
Duration = Annotated[float, Meta(gt=0, le=3_600)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the recipe; a key that it does not have is an error."""


class Step(Table, frozen=True, kw_only=True):
    """One thing to do on the page: exactly one of the keys that name an action."""

    click: Annotated[Selector | None, Meta(description="Click this.")] = None
    fill: Annotated[Selector | None, Meta(description="Type `value` or `secret` into this field.")] = None
    select: Annotated[Selector | None, Meta(description="Choose `value` (its label or value) in this list.")] = None
    tick: Annotated[Selector | None, Meta(description="Tick this box, unless it is ticked.")] = None
    hover: Annotated[Selector | None, Meta(description="Move the mouse over this, as menus want it.")] = None
    press: Annotated[Text | None, Meta(description="Press this key, such as 'Enter'; `on` says where.")] = None
    wait_for: Annotated[Selector | None, Meta(description="Wait until this shows.")] = None
    wait_gone: Annotated[Selector | None, Meta(description="Wait until this does not show any more.")] = None
    open: Annotated[Url | None, Meta(description="Open this address.")] = None
    value: Annotated[Typed | None, Meta(description="What to type or choose.")] = None
    secret: Annotated[
        SecretName | None, Meta(description="Name of the secret to type: NAME, NAME_FILE or keyring.")
    ] = None
    on: Annotated[Selector | None, Meta(description="The field in which `press` presses its key.")] = None
    optional: Annotated[bool, Meta(description="Go on when it is not there, as with a banner.")] = False
    within: Annotated[
        Seconds | None,
        Meta(description="Seconds to wait until it is there.  [default: patience; 0 when optional]"),
    ] = None


Steps = tuple[Step, ...]


class Login(Table, frozen=True, kw_only=True):
    """How to log in, and what tells who is logged in from who is not."""

    url: Annotated[Url | None, Meta(description="The login page.")] = None
    steps: Annotated[Steps, Meta(description="Fill in the form, in this order.")] = ()
    submit: Annotated[Selector | None, Meta(description="What sends the form.  [default: Enter in the last field]")] = (
        None
    )
    logged_in: Annotated[
        Selector | None, Meta(description="Stands on every page of somebody who is logged in, such as the way out.")
    ] = None
    logged_out: Annotated[
        Selector | None, Meta(description="Stands on a page only when nobody is logged in, such as the login form.")
    ] = None
    refused: Annotated[
        Selector | None, Meta(description="Shows when the site refuses user or password; the run then stops.")
    ] = None


class Export(Table, frozen=True, kw_only=True):
    """References out of a CSV file that the site exports."""

    column: Annotated[Text, Meta(description="Name of the column that holds the references.")]
    page: Annotated[Url | None, Meta(description="The page to begin on.  [default: start_url]")] = None
    steps: Annotated[Steps, Meta(description="What to choose there before the export.")] = ()
    click: Annotated[Selector | None, Meta(description="Starts the download, or its preparation.")] = None
    url: Annotated[Url | None, Meta(description="Address of the file itself, instead of `click`.")] = None
    form: Annotated[
        dict[str, str] | None, Meta(description="Fields to send to `url` by POST, as a form of the site would.")
    ] = None
    ready: Annotated[
        Selector | None,
        Meta(description="For an export that is prepared meanwhile: what to click when it is ready."),
    ] = None
    ready_within: Annotated[Duration, Meta(description="Seconds that the preparation may take.")] = 90.0
    reload_every: Annotated[
        Seconds,
        Meta(description="Seconds between two looks; each opens the page again. 0: the page shows it by itself."),
    ] = 3.0
    ready_page: Annotated[Url | None, Meta(description="Where `ready` appears.  [default: the same page]")] = None
    delimiter: Annotated[str, Meta(min_length=1, max_length=1, description="Between two fields.")] = ","
    encoding: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=50,
            extra={"form": "encoding", "expected": "a text encoding, such as 'utf-8' or 'cp1252'"},
            description="Of the file; a byte order mark is recognised.",
        ),
    ] = "utf-8"


class Listing(Table, frozen=True, kw_only=True):
    """References out of pages that list them."""

    reference: Annotated[Selector, Meta(description="The elements that hold one reference each.")]
    page: Annotated[Url | None, Meta(description="The first page.  [default: start_url]")] = None
    steps: Annotated[Steps, Meta(description="Filters to choose on the first page.")] = ()
    attribute: Annotated[
        Text | None, Meta(description="The attribute that holds the reference.  [default: the text]")
    ] = None
    pattern: Annotated[
        Regex | None, Meta(description="The part of the text that is the reference: its first group.")
    ] = None
    next: Annotated[Selector | None, Meta(description="Leads to the next page; missing or disabled on the last.")] = (
        None
    )
    more: Annotated[Selector | None, Meta(description="Loads more on the same page, until it is gone or disabled.")] = (
        None
    )
    pages: Annotated[
        Url | None, Meta(description="Address of page {page}, counted from first_page, until one lists nothing.")
    ] = None
    first_page: Annotated[int, Meta(ge=0, le=1_000_000, description="Number of the first page for `pages`.")] = 1
    last_page_repeats: Annotated[
        bool, Meta(description="Beyond the last page the site shows the last one again: that is the end.")
    ] = False
    most_pages: Annotated[int, Meta(ge=1, le=1_000_000, description="More pages than this are taken for a loop.")] = (
        2_000
    )
    total: Annotated[Selector | None, Meta(description="Shows how many there are; as many must be found.")] = None
    empty: Annotated[Selector | None, Meta(description="Shows that a page lists nothing, when that is no mistake.")] = (
        None
    )


class References(Table, frozen=True, kw_only=True):
    """Where the references come from: exactly one of the two."""

    export: Annotated[Export | None, Meta(description="A CSV file that the site exports.")] = None
    listing: Annotated[Listing | None, Meta(description="Pages that list the vehicles.")] = None


class Search(Table, frozen=True, kw_only=True):
    """A vehicle that is found by typing its reference into a form."""

    page: Annotated[Url, Meta(description="The page with the form.")]
    steps: Annotated[Steps, Meta(description="Type {ref} and send the form.")]
    result: Annotated[
        Selector | None, Meta(description="The result to click, where the site does not go on itself.")
    ] = None


class Vehicle(Table, frozen=True, kw_only=True):
    """How to get to the page of a vehicle, and what shows that one is there."""

    url: Annotated[Url | None, Meta(description="Its address, with {ref} for the reference, quoted as it must be.")] = (
        None
    )
    search: Annotated[Search | None, Meta(description="A form to type the reference into, instead of `url`.")] = None
    loaded: Annotated[
        Selector | None, Meta(description="Is there when the page has loaded. {ref} may stand in it.")
    ] = None
    missing: Annotated[Selector | None, Meta(description="Shows that the site has no such vehicle.")] = None
    steps: Annotated[Steps, Meta(description="What to do before the documents show: menus, tabs, banners.")] = ()


class Documents(Table, frozen=True, kw_only=True):
    """The documents of a vehicle."""

    links: Annotated[
        Selector | None, Meta(description="Links to documents, hidden ones too; they are not clicked.")
    ] = None
    link_attribute: Annotated[
        Text | None, Meta(description="The attribute with the address.  [default: href, src or data]")
    ] = None
    buttons: Annotated[Selector | None, Meta(description="Each of these is clicked and starts one download.")] = None
    fewest: Annotated[int, Meta(ge=0, le=10_000, description="With fewer the vehicle fails; 0 where none is fine.")] = 1
    most: Annotated[Most | None, Meta(description="With more the vehicle fails.")] = None
    within: Annotated[
        Seconds | None, Meta(description="Seconds they may take to appear.  [default: patience; 2 when fewest is 0]")
    ] = None
    ready: Annotated[Selector | None, Meta(description="Is there when all documents are on the page.")] = None
    count: Annotated[Selector | None, Meta(description="Shows how many there are; so many are waited for.")] = None
    types: Annotated[
        tuple[Format, ...],
        Meta(min_length=1, description="What the files may be, told by their content; 'any' for whatever comes."),
    ] = ("pdf",)
    name: Annotated[
        Text | None,
        Meta(description="Name of the file: {filename} (the site's), {stem}, {extension}, {text}, {number}, {ref}."),
    ] = None


class Python(Table, frozen=True, kw_only=True):
    """Steps that are handed to Python: ``file.py:function``, relative to the recipe, called with the site first."""

    log_in: Annotated[Function | None, Meta(description="async def f(site, visit)")] = None
    is_logged_in: Annotated[Function | None, Meta(description="async def f(site, visit) -> bool")] = None
    export_inventory: Annotated[Function | None, Meta(description="async def f(site, visit) -> Inventory")] = None
    process: Annotated[Function | None, Meta(description="async def f(site, visit, reference)")] = None
    recover: Annotated[Function | None, Meta(description="async def f(site, visit)")] = None


class BasicAuth(Table, frozen=True, kw_only=True):
    """HTTP basic authentication."""

    user: Annotated[SecretName, Meta(description="Name of the secret that holds the user.")]
    password: Annotated[SecretName, Meta(description="Name of the secret that holds the password.")]
    origin: Annotated[Text | None, Meta(description="Who gets them: https://host.  [default: the site]")] = None


class Proxy(Table, frozen=True, kw_only=True):
    """A proxy for the browser and for all fetches."""

    server: Annotated[Text, Meta(description="http://host:port, https://host:port or socks5://host:port.")]
    user: Annotated[SecretName | None, Meta(description="Name of the secret that holds the proxy's user.")] = None
    password: Annotated[SecretName | None, Meta(description="Name of the secret that holds its password.")] = None
    bypass: Annotated[Text | None, Meta(description="Hosts that are asked directly, separated by commas.")] = None


class ClientCertificate(Table, frozen=True, kw_only=True):
    """A certificate by which the browser proves who it is."""

    certificate: Annotated[Text, Meta(description="PEM file, relative to the recipe.")]
    key: Annotated[Text, Meta(description="PEM file that only you can read, relative to the recipe.")]
    passphrase: Annotated[SecretName | None, Meta(description="Name of the secret that opens the key.")] = None
    origins: Annotated[
        tuple[Text, ...], Meta(description="https://host of each; nothing else is reached.  [default: the site]")
    ] = ()


class Way(Table, frozen=True, kw_only=True):
    """The way to the site, where it is a special one."""

    basic_auth: Annotated[BasicAuth | None, Meta(description="HTTP basic authentication.")] = None
    proxy: Annotated[Proxy | None, Meta(description="A proxy.")] = None
    client_certificate: Annotated[ClientCertificate | None, Meta(description="A client certificate.")] = None
    authorities: Annotated[
        tuple[Text, ...], Meta(description="PEM files of private certificate authorities, relative to the recipe.")
    ] = ()


class Recipe(Table, frozen=True, kw_only=True):
    """A website, and how to bring every document of every vehicle home from it."""

    base_url: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=2_000,
            extra={"form": "base", "expected": "an address such as 'https://lot.example'"},
            description="The website; every other address is relative to it.",
        ),
    ]
    name: Annotated[
        str, Meta(min_length=1, max_length=100, description="In logs and reports.  [default: the file's name]")
    ] = ""
    start_url: Annotated[Url, Meta(description="The page to which a worker goes back after trouble.")] = "/"
    allowed_hosts: Annotated[
        tuple[
            Annotated[
                str,
                Meta(
                    min_length=1,
                    max_length=255,
                    extra={"form": "host", "expected": "a host name, such as 'cdn.lot.example' or '*.lot.example'"},
                ),
            ],
            ...,
        ]
        | None,
        Meta(description="Hosts beside that of base_url; all others are blocked.  [default: any host]"),
    ] = None
    images: Annotated[bool, Meta(description="Pages need their images; without them they open in half the time.")] = (
        True
    )
    delay: Annotated[Seconds, Meta(description="Seconds between two pages or documents that a worker asks for.")] = 0.0
    patience: Annotated[Duration, Meta(description="Seconds that anything may take to appear on a page.")] = 10.0
    secrets: Annotated[tuple[SecretName, ...], Meta(description="Further secrets, which steps in Python ask for.")] = ()
    session: Annotated[
        str,
        Meta(
            extra_json_schema={"enum": ["shared", "own"]},
            extra={"form": "session", "expected": "'shared' or 'own'"},
            description="'own' where the site ties a session to one browser: each worker then logs in for itself.",
        ),
    ] = "shared"
    headers: Annotated[
        dict[str, str] | None,
        Meta(
            description="Header fields that the site's scripts send, such as Authorization = 'Bearer {token}', added "
            "to each fetch from the site; a name in braces is an entry of the local or session storage."
        ),
    ] = None
    access: Annotated[Way | None, Meta(description="Basic authentication, proxy, certificates.")] = None
    login: Annotated[Login | None, Meta(description="How to log in; a site without a login has none.")] = None
    references: Annotated[
        References | None, Meta(description="Where the references come from; without it --refs is needed.")
    ] = None
    vehicle: Annotated[Vehicle | None, Meta(description="The page of a vehicle.")] = None
    documents: Annotated[Documents | None, Meta(description="The documents on it.")] = None
    python: Annotated[Python | None, Meta(description="Steps that are handed to Python.")] = None


def json_schema() -> dict[str, Any]:
    """Return the JSON schema by which editors complete and check a recipe."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Recipe)}
