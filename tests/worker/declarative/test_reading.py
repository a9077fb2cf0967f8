"""A recipe that is wrong is told in one sentence: file, line, key, what was found, what is expected."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.worker.declarative.recipes import GOOD
from worker.site import RecipeError
from worker.sites.declarative.reading import Source, parse, read
from worker.sites.declarative.schema import json_schema
from worker.sites.declarative.site import Declarative

FILE = Path("/recipes/lot.toml")
ROOT = Path(__file__).resolve().parents[3]


def complaint(text: str | bytes) -> str:
    with pytest.raises(RecipeError) as caught:
        parse(text.encode() if isinstance(text, str) else text, FILE)
    return str(caught.value)


def test_a_good_recipe_is_read() -> None:
    """Addresses are made whole, secrets are gathered from the steps."""
    site = Declarative(parse(GOOD.encode(), FILE))
    assert (site.name, site.start_url, site.login_url) == (
        "lot",
        "https://lot.example/inventory",
        "https://lot.example/login",
    )
    assert site.secrets == ("LOT_USER", "LOT_PASSWORD")
    assert site.allowed_hosts == ()


# Each: what is put in the place of what, the line and key that are named, what was found, what is expected.
WRONG = [
    ("base_url = ", "base_ulr = ", 1, "base_ulr", "unknown key", "did you mean"),
    ('base_url = "https://lot.example"\n', "", 1, "base_url", "nothing", "https://"),
    (
        'url = "/vehicle/{ref}"\nloaded',
        "search = { page = '/s', steps = [{ fill = '#q', value = '{ref}' }] }\n# ",
        23,
        "vehicle.loaded",
        "nothing",
        "proves that the search",
    ),
    ("https://lot.example", "ftp://lot.example", 1, "base_url", "'ftp://lot.example'", "https://"),
    ("https://lot.example", "https://", 1, "base_url", "names no host", "https://"),
    ("https://lot.example", "https://me:secret@lot.example", 1, "base_url", "user or password", "https://"),
    ("https://lot.example", "https://lot.example:99999", 1, "base_url", "no address", "https://"),
    ('name = "lot"', 'name = ""', 2, "name", "''", "not empty"),
    ('"/inventory"\nd', '"/in ventory"\nd', 3, "start_url", "has a space", "an address"),
    ("delay = 0.5", 'delay = "slow"', 4, "delay", "'slow'", "a number, at least 0"),
    ("delay = 0.5", "delay = -1", 4, "delay", "-1", "at least 0"),
    ("delay = 0.5", "delay = nan", 4, "delay", "nan", "at least 0"),
    ("delay = 0.5", 'allowed_hosts = ["https://cdn.example"]', 4, "allowed_hosts[0]", "no host name", "cdn.lot"),
    ('url = "/login"', 'url = "javascript:go()"', 7, "login.url", "does not begin with http", "an address"),
    ('url = "/login"\n', "", 6, "login.url", "nothing", "login page"),
    ('fill = "#user"', 'fil = "#user"', 9, "login.steps[0].fil", "unknown key", "fill (did you mean that?)"),
    ('fill = "#user", ', 'fill = "#user", click = "#x", ', 9, "login.steps[0]", "click and fill", "exactly one of"),
    ('{ fill = "#user", secret = "LOT_USER" }', '{ secret = "LOT_USER" }', 9, "login.steps[0]", "no action", "one of"),
    ('secret = "LOT_USER"', 'secret = "LOT USER"', 9, "login.steps[0].secret", "'LOT USER'", "LOT_PASSWORD"),
    ('secret = "LOT_USER"', 'secret = "NIGHTFLEET_USER"', 9, "login.steps[0].secret", "NIGHTFLEET_", "environment"),
    (', secret = "LOT_USER"', "", 9, "login.steps[0].fill", "neither value nor secret", "value or secret"),
    ('"LOT_USER"', '"LOT_USER", value = "me"', 9, "login.steps[0].fill", "both value and secret", "value or secret"),
    ('"LOT_USER"', '"LOT_USER", within = "5"', 9, "login.steps[0].within", "'5'", "a number"),
    ('"button[type=submit]"', '"button[type=submit"', 12, "login.submit", "never closed", "a selector"),
    ('"button[type=submit]"', '""', 12, "login.submit", "''", "a selector"),
    ('"button[type=submit]"', "[1]", 12, "login.submit", "an array", "a selector"),
    ('"#log-out"', '"label=Log out"', 13, "login.logged_in", "begins with label=", "a selector"),
    ('"#log-out"', '"//a[@id=]"', 13, "login.logged_in", "is no XPath", "a selector"),
    ('"#log-out"', '"a >> "', 13, "login.logged_in", "one side of >> or |>", "a selector"),
    ('"#log-out"', '"#"', 13, "login.logged_in", "without a name", "a selector"),
    ('"#log-out"', '"a,,b"', 13, "login.logged_in", "not complete", "a selector"),
    ('logged_in = "#log-out"\n', "", 6, "login.logged_in", "nothing", "logged_in or logged_out"),
    ("[references.export]", "[references.exports]", 16, "references.exports", "unknown key", "export (did you"),
    ('click = "#export"\n', "", 16, "references.export", "none of them", "click or url"),
    ('click = "#export"', 'click = "#export"\nurl = "/x"', 19, "references.export.url", "url beside click", "one of"),
    ('column = "Stock No"\n', "", 16, "references.export.column", "nothing", "is needed"),
    ('delimiter = ";"', 'delimiter = ";;"', 20, "references.export.delimiter", "';;'", "one character"),
    ('delimiter = ";"', 'delimiter = "\\n"', 20, "references.export.delimiter", r"'\n'", "separates fields"),
    ('"cp1252"', '"cp99999"', 21, "references.export.encoding", "'cp99999'", "utf-8"),
    ('"cp1252"', '"base64"', 21, "references.export.encoding", "of bytes", "utf-8"),
    ('"/vehicle/{ref}"', '"/vehicle"', 24, "vehicle.url", "'/vehicle'", "with {ref}"),
    ('"/vehicle/{ref}"', '"/vehicle/{refs}"', 24, "vehicle.url", "{refs}", "{ref}, and no other"),
    ('"/vehicle/{ref}"', '"/vehicle/{ref"', 24, "vehicle.url", "braces do not match", "{ref}"),
    ("has-text('{ref}')", "has-text('{vin}')", 25, "vehicle.loaded", "{vin}", "{ref}"),
    ("h1:has-text('{ref}')", "#car-{ref}", 25, "vehicle.loaded", "placeholder outside quotes", "a selector"),
    ("h1:has-text('{ref}')", "h1 { }", 25, "vehicle.loaded", "a character that no selector has", "a selector"),
    ('click = "#documents-tab"', 'click = ["#tab"]', 27, "vehicle.steps[0].click", "an array", "a selector"),
    ('[{ click = "#documents-tab" }]', '"#documents-tab"', 27, "vehicle.steps", "'#documents-tab'", "an array"),
    ("[vehicle]", "[vehicel]", 23, "vehicel", "unknown key", "vehicle (did you mean that?)"),
    ('links = "a.document"\nbuttons = "button.document"\n', "", 29, "documents", "neither", "links, buttons or both"),
    ("fewest = 1", "fewest = 1.5", 32, "documents.fewest", "1.5", "a whole number"),
    ("fewest = 1", "fewest = true", 32, "documents.fewest", "true", "a whole number"),
    ("most = 5", "most = 0", 33, "documents.most", "0", "at least 1"),
    ("fewest = 1", "fewest = 9", 33, "documents.most", "5", "not below fewest, 9"),
    ('["pdf"]', '[".pdf"]', 34, "documents.types[0]", "'.pdf'", "one of pdf, jpg"),
    ('["pdf"]', "[]", 34, "documents.types", "an empty array", "one of pdf"),
    ('"{number}-{filename}"', '"{name}.pdf"', 35, "documents.name", "{name}", "{filename}"),
    ("[documents]", "[documents", 29, "", "no TOML", "TOML"),
    ("[documents]", "[documents]\n[documents]", 30, "", "no TOML", "TOML"),
    ('links = "a.document"', "links = a.document", 30, "", "no TOML", "TOML"),
]


@pytest.mark.parametrize(
    ("there", "instead", "line", "key", "found", "expected"), WRONG, ids=[f"{row[3]}-{row[1]}"[:60] for row in WRONG]
)
def test_each_mistake_is_named_with_its_line(
    *, there: str, instead: str, line: int, key: str, found: str, expected: str
) -> None:
    """File, line, key, what was found and what is expected, in one line."""
    assert there in GOOD
    said = complaint(GOOD.replace(there, instead, 1))
    assert said.startswith(f"the recipe {FILE}, line {line}: {key + ': ' if key else ''}found ")
    said_found, _, said_expected = said.partition("; expected ")
    assert found in said_found, said
    assert expected in said_expected, said
    assert "\n" not in said


def test_the_first_of_several_mistakes_is_told_and_the_others_are_counted() -> None:
    """By the line on which they stand."""
    said = complaint(GOOD.replace("fewest = 1", "fewest = -1").replace("delay = 0.5", "delay = -1"))
    assert "line 4: delay" in said
    assert "1 more mistake in the file" in said


def test_a_host_that_is_not_allowed_is_named() -> None:
    """An address of the recipe itself must be on the hosts that the recipe allows."""
    text = GOOD.replace('url = "/login"', 'url = "https://login.example/"')
    said = complaint(text.replace("delay = 0.5", 'allowed_hosts = ["cdn.example"]'))
    assert "line 7: login.url: found the host login.example; expected a host of allowed_hosts" in said
    sound = parse(text.replace("delay = 0.5", 'allowed_hosts = ["login.example"]').encode(), FILE)
    assert Declarative(sound).allowed_hosts == ("lot.example", "login.example")


def test_the_line_is_right_with_windows_line_ends_and_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be read gets its sentence too."""
    said = complaint(GOOD.replace("fewest = 1", "fewest = -1").replace("\n", "\r\n"))
    assert "line 32: documents.fewest" in said
    with pytest.raises(RecipeError, match=r"missing\.toml does not exist"):
        read(tmp_path / "missing.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read(tmp_path)


def parse_anything(content: bytes) -> Source | str:
    """Read a recipe of any bytes; what it may do is be a recipe or give one sentence."""
    try:
        return parse(content, FILE)
    except RecipeError as error:
        said = str(error)
    assert "\n" not in said
    assert said.startswith(f"the recipe {FILE}, line ")
    return said


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"a = " + b"[" * 5_000)
@example(b"a = " + b"9" * 5_000)
@example(b"a = 1979-99-99")
@example(b"[[a]]\n[a.b]\n[[a]]")
def test_any_bytes_are_a_recipe_or_one_sentence(content: bytes) -> None:
    """Never another exception."""
    parse_anything(content)


LINES = GOOD.splitlines()
SNIPPETS = st.sampled_from([
    *LINES,
    '"""',
    "'''",
    "[",
    "]",
    "{",
    "}",
    "= 1",
    "x.y.z = [[{}]]",
    "[[vehicle]]",
    "[login.steps]",
    "2026-11-25",
    "inf",
    '"\\ud800"',
    "steps = [{}]",
    "[python]\nprocess = 'x.py:f'",
])  # fmt: skip


@given(st.lists(SNIPPETS, max_size=20))
def test_any_mixture_of_lines_is_a_recipe_or_one_sentence(lines: list[str]) -> None:
    """Lines of a good recipe in any order, and what TOML trips over."""
    parse_anything("\n".join(lines).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = [line.partition(" = ") for line in LINES if " = " in line and not line.startswith(" ")]


@given(st.sampled_from(PLACES), JSON.filter(lambda value: value is not None))
def test_any_value_in_any_place_is_a_recipe_or_one_sentence(place: tuple[str, str, str], value: object) -> None:
    """Of any type: the key is named and the sentence stays short."""
    key, _, former = place
    text = GOOD.replace(f"{key} = {former}", f"{key} = {json.dumps(value)}", 1)
    said = parse_anything(text.encode())
    assert isinstance(said, Source) or len(said) < 1_000


@pytest.mark.parametrize(
    ("login", "vehicle", "tells"),
    [
        ("/login", "/vehicle/{ref}", True),
        ("/index.php?do=login", "/index.php?do=show&no={ref}", False),
        ("/#/login", "/#/vehicle/{ref}", False),
        ("https://sso.example/index.php", "/index.php?no={ref}", True),
    ],
)
def test_the_login_page_tells_of_a_lost_session_only_when_its_address_is_its_own(
    *, login: str, vehicle: str, tells: bool
) -> None:
    """Where every page has one path, only the marks on the page tell."""
    text = GOOD.replace('"/login"', f'"{login}"').replace('"/vehicle/{ref}"', f'"{vehicle}"')
    site = Declarative(parse(text.encode(), FILE))
    assert bool(site.login_url) is tells


def test_the_published_schema_is_current() -> None:
    """What editors complete is what the program reads."""
    published = json.loads((ROOT / "worker/sites/declarative/schema.json").read_text("utf-8"))
    assert published == json.loads(json.dumps(json_schema())), (
        "python -m worker.sites.declarative > worker/sites/declarative/schema.json"
    )


def test_the_example_in_the_readme_is_a_sound_recipe() -> None:
    """With the addresses and secrets that it says it has; so is the demo's."""
    readme = (ROOT / "README.md").read_text("utf-8")
    _, _, section = readme.partition("## Describe your site")
    example = section.partition("```toml\n")[2].partition("```")[0]
    site = Declarative(parse(example.encode(), FILE))
    assert site.secrets == ("LOT_USER", "LOT_PASSWORD")
    assert site.allowed_hosts == ("lot.example", "cdn.lot.example")
    assert Declarative(read(ROOT / "worker/sites/demo/demo.toml")).start_url == "http://127.0.0.1:8080/inventory"


def test_the_schema_tells_editors_of_every_key() -> None:
    """Each key has its line of help, and a key that is not in its table is a mistake in the editor, too."""
    tables = json_schema()["$defs"]
    assert {"Recipe", "Login", "Export", "Listing", "Search", "Vehicle", "Documents", "Step", "Python"} <= set(tables)
    for name, table in tables.items():
        assert table["additionalProperties"] is False, name
        assert [key for key, kind in table["properties"].items() if "description" not in kind] == [], name
