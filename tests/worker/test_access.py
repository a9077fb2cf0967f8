"""The way to a site: basic authentication, proxies, client certificates, private authorities."""

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.worker.child import Child
from tests.worker.gate_site import PASSWORD, PDF, USER, gate, proxy
from worker.access import Access, BasicAuth, ClientCertificate, Proxy
from worker.protocol import Assign, ErrandFailed, Failed, Kind, LogIn, Succeeded

RECIPE = f"{Path(__file__).with_name('gate_recipe.py')}:Gate"
SECRETS = {"GATE_USER": USER, "GATE_PASSWORD": PASSWORD}
BASIC = {"basic_auth": {"user": "GATE_USER", "password": "GATE_PASSWORD"}}

Knock = Callable[..., Child]


@pytest.fixture
def knock(tmp_path: Path) -> Iterator[Knock]:
    """Start workers that go a way to a site; they are killed at the end of the test."""
    children: list[Child] = []

    def knock(url: str, access: dict[str, Any], secrets: dict[str, str] | None = None) -> Child:
        environment = {"GATE_URL": url, "ACCESS": json.dumps(access), **(SECRETS if secrets is None else secrets)}
        child = Child(tmp_path / f"child-{len(children)}", url, site=RECIPE, environment=environment)
        children.append(child)
        child.ready()
        return child

    yield knock
    for child in children:
        child.end()


def brought(child: Child, ref: str = "A") -> Succeeded | Failed:
    """Log in and bring one reference."""
    child.log_in()
    staging = child.folder / f"staging-{ref[:1]}"
    child.send(Assign(1, ref, 1, True, str(staging), 30))
    answer = child.next()
    assert isinstance(answer, Succeeded | Failed), child.said()
    if isinstance(answer, Succeeded):
        assert (staging / answer.documents[0].name).read_bytes() == PDF
    return answer


def refused(child: Child) -> ErrandFailed:
    child.send(LogIn(1, str(child.folder / "login"), 30))
    return child.expect(ErrandFailed)


def check_no_secret(child: Child) -> None:
    """Assert that the password stands in no command line and no file of the worker's."""
    for process in child.tree():
        assert PASSWORD not in " ".join(process.cmdline()), process
    for path in child.folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def server(authority: trustme.CA, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """Return TLS for localhost; with `clients` only for who has one of its certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private authority."""
    return trustme.CA()


@pytest.fixture
def pem(authority: trustme.CA, tmp_path: Path) -> str:
    """The authority's certificate in a file."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return str(tmp_path / "authority.pem")


@pytest.fixture
def client(tmp_path: Path) -> tuple[trustme.CA, dict[str, Any]]:
    """An authority for clients, and a client certificate as recipes name it."""
    clients = trustme.CA()
    issued = clients.issue_cert("gate@example.org")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    key = tmp_path / "client.key"
    key.touch(0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    return clients, {"certificate": str(tmp_path / "client.pem"), "key": str(key)}


# ---------------------------------------------------------------------------------------------- basic authentication
@pytest.mark.browser
def test_basic_authentication_opens_pages_and_documents(knock: Knock) -> None:
    """Browser and fetches give it, with one user agent, and the password stands nowhere."""
    with gate(basic=True) as site:
        child = knock(site.url, BASIC)
        assert isinstance(brought(child), Succeeded), child.said()
        assert {path for path, _ in site.seen} == {"/inventory", "/vehicle/A", "/pdf/a.pdf"}
        assert len({agent for _, agent in site.seen}) == 1
        check_no_secret(child)


@pytest.mark.browser
def test_a_wrong_basic_password_is_a_refused_login(knock: Knock) -> None:
    """Given once, never again; a login that is refused stops the run."""
    with gate(basic=True) as site:
        child = knock(site.url, BASIC, SECRETS | {"GATE_PASSWORD": "wrong"})
        failure = refused(child)
        assert (failure.kind, failure.ready) == (Kind.LOGIN_REFUSED, True)
        assert "HTTP basic authentication" in failure.message
        assert site.refused == 1


# ------------------------------------------------------------------------------------------------------------- proxies
@pytest.mark.browser
@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_with_a_password_carries_pages_and_documents(
    knock: Knock, authority: trustme.CA, pem: str, *, tls: bool
) -> None:
    """Over TLS as a tunnel, without as requests; also for addresses of this machine."""
    with gate(server(authority) if tls else None) as site, proxy() as between:
        access: dict[str, Any] = {
            "proxy": {"server": between.url, "user": "GATE_USER", "password": "GATE_PASSWORD"},
            "authorities": [pem] if tls else [],
        }
        child = knock(site.url, access)
        assert isinstance(brought(child), Succeeded), child.said()
        assert sum(site.seen.values()) >= 3
        host = site.url.partition("//")[2]
        # The driver makes a tunnel for either; the browser only over TLS.
        assert between.let_through[f"CONNECT {host}"] >= 1
        assert tls or between.let_through[f"GET {host}"] >= 2
        check_no_secret(child)


@pytest.mark.browser
@pytest.mark.parametrize("tls", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_proxy_that_refuses_the_password_is_a_refused_login(
    knock: Knock, authority: trustme.CA, *, tls: bool
) -> None:
    """Whoever keeps accounts of a proxy locks them too."""
    with gate(server(authority) if tls else None) as site, proxy() as between:
        access = {"proxy": {"server": between.url, "user": "GATE_USER", "password": "GATE_PASSWORD"}}
        failure = refused(knock(site.url, access, SECRETS | {"GATE_PASSWORD": "wrong"}))
        assert failure.kind is Kind.LOGIN_REFUSED
        assert "the proxy" in failure.message
        assert not site.seen


# -------------------------------------------------------------------------------------------------------- certificates
@pytest.mark.browser
def test_a_private_authority_is_believed_where_it_is_named_and_only_there(
    knock: Knock, authority: trustme.CA, pem: str
) -> None:
    """Pages and documents come; without the option, and for another authority's site, nothing does."""
    with gate(server(authority)) as site, gate(server(trustme.CA())) as foreign:
        child = knock(site.url, {"authorities": [pem]})
        assert isinstance(brought(child), Succeeded), child.said()
        assert len({agent for _, agent in site.seen}) == 1
        answer = brought(child, f"B?away={foreign.url}/inventory")
        assert isinstance(answer, Failed)
        assert answer.kind is Kind.CERTIFICATE
        failure = refused(knock(site.url, {}))
        assert failure.kind is Kind.CERTIFICATE
        assert not foreign.seen


@pytest.mark.browser
def test_a_client_certificate_opens_its_origin_and_nothing_else_is_reached(
    knock: Knock, authority: trustme.CA, pem: str, client: tuple[trustme.CA, dict[str, Any]]
) -> None:
    """Playwright would not check the certificates of other sites; the site's own is checked."""
    clients, certificate = client
    with gate(server(authority, clients)) as site, gate(server(trustme.CA())) as foreign:
        child = knock(site.url, {"authorities": [pem], "client_certificate": certificate})
        assert isinstance(brought(child), Succeeded), child.said()
        elsewhere = foreign.url.replace("localhost", "127.0.0.2")
        answer = brought(child, f"B?away={elsewhere}/inventory")
        assert isinstance(answer, Failed), child.said()
        assert not foreign.seen
        failure = refused(knock(site.url, {"client_certificate": certificate}))
        assert failure.kind is Kind.CERTIFICATE, failure
        failure = refused(knock(site.url, {"authorities": [pem]}))
        # TLS 1.3 refuses after the handshake: the browser may see the connection end before the reason.
        assert failure.kind in {Kind.CERTIFICATE, Kind.NETWORK}, failure


# ------------------------------------------------------------------------------------------------------ what is refused
def test_what_cannot_be_used_is_named_with_its_key(tmp_path: Path, client: tuple[trustme.CA, dict[str, Any]]) -> None:
    """Before a run starts: one key, one sentence."""
    _, certificate = client
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    other = tmp_path / "other.key"
    other.touch(0o600)
    other.write_bytes(trustme.CA().issue_cert("other@example.org").private_key_pem.bytes())
    open_key = tmp_path / "open.key"
    open_key.write_bytes(other.read_bytes())
    open_key.chmod(0o644)
    secret = {"password": "NAME_OF_ONE"}
    wrong: list[tuple[Access, str, str]] = [
        (Access(authorities=("/nowhere.pem",)), "authorities", "does not exist"),
        (Access(authorities=(str(text),)), "authorities", "holds no certificate"),
        (Access(proxy=Proxy(server="proxy:3128")), "proxy.server", "http://host:port"),
        (Access(proxy=Proxy(server="http://me:pw@proxy:3128")), "proxy.server", "name their secrets"),
        (Access(proxy=Proxy(server="http://proxy:3128", user="A")), "proxy", "only one of user and password"),
        (Access(proxy=Proxy(server="socks5://p:1", user="A", **secret)), "proxy.user", "SOCKS"),
        (Access(basic_auth=BasicAuth(user="A", origin="lot", **secret)), "basic_auth.origin", "https://host"),
        (
            Access(client_certificate=ClientCertificate(**certificate, origins=("http://lot",))),
            "client_certificate.origins",
            "https://host",
        ),
        (
            Access(client_certificate=ClientCertificate(certificate=certificate["certificate"], key=str(other))),
            "client_certificate.key",
            "do not belong together",
        ),
        (
            Access(client_certificate=ClientCertificate(certificate=certificate["certificate"], key=str(open_key))),
            "client_certificate.key",
            "chmod 600",
        ),
    ]
    for access, key, said in wrong:
        found, sentence = access.complaint()
        assert (found, said in sentence) == (key, True), (access, found, sentence)
    assert Access(client_certificate=ClientCertificate(**certificate)).complaint() == ("", "")
