"""The way to a site and the kind of its session, as TOML names them."""

from pathlib import Path

import pytest

from worker.access import BasicAuth, Proxy
from worker.loading import load_site
from worker.site import RecipeError

BASE = """
base_url = "https://lot.example"
session = "own"
headers = { Authorization = "Bearer {token}" }
[access.basic_auth]
user = "LOT_USER"
password = "LOT_PASSWORD"
[access.proxy]
server = "http://proxy.example:3128"
user = "PROXY_USER"
password = "PROXY_PASSWORD"
[vehicle]
url = "/vehicle/{ref}"
[documents]
links = "a"
"""


def test_a_recipe_says_how_its_site_is_reached(tmp_path: Path) -> None:
    """Secrets of the way are secrets of the recipe, checked before anything starts."""
    file = tmp_path / "lot.toml"
    file.write_text(BASE)
    site = load_site(str(file))
    assert site.session == "own"
    assert site.access.basic_auth == BasicAuth(user="LOT_USER", password="LOT_PASSWORD")  # noqa: S106 - names of secrets
    assert site.access.proxy == Proxy(
        server="http://proxy.example:3128",
        user="PROXY_USER",
        password="PROXY_PASSWORD",  # noqa: S106 - as above
    )
    assert set(site.secrets) == {"LOT_USER", "LOT_PASSWORD", "PROXY_USER", "PROXY_PASSWORD"}


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ('"own"', '"mine"', 3, "'shared' or 'own'"),
        ('"http://proxy.example:3128"', '"proxy.example"', 9, "access.proxy.server: it is 'proxy.example'"),
        ('"http://proxy.example:3128"', '"http://me:pw@p:1"', 9, "name their secrets with user and password"),
        ('user = "PROXY_USER"\n', "", 8, "only one of user and password"),
        ('"LOT_USER"', '"NIGHTFLEET_USER"', 6, "begins with NIGHTFLEET_"),
        (
            "[vehicle]",
            '[access.client_certificate]\ncertificate = "a.pem"\nkey = "a.key"\n[vehicle]',
            13,
            "does not exist",
        ),
    ],
)
def test_what_is_wrong_about_it_is_named_with_its_line(
    right: str, wrong: str, line: int, said: str, tmp_path: Path
) -> None:
    """File, line, key and what is needed."""
    file = tmp_path / "lot.toml"
    file.write_text(BASE.replace(right, wrong))
    with pytest.raises(RecipeError) as told:
        load_site(str(file))
    assert f"lot.toml, line {line}: " in str(told.value), told.value
    assert said in str(told.value), told.value
