"""Which file names documents get, from whatever a site says."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.names import numbered, proposed_name, repaired, safe_name

_URL = "https://lot.example/get"


def as_it_comes(header: bytes) -> str:
    """Return a header as the browser and the driver hand it over: one character a byte."""
    return header.decode("latin-1")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'attachment; filename="in voice.pdf"', "in voice.pdf"),
        (b"attachment;filename=invoice.pdf;size=3", "invoice.pdf"),
        (b"attachment; filename=my invoice.pdf", "my invoice.pdf"),
        (b'ATTACHMENT; FILENAME="a.pdf"', "a.pdf"),
        (b'filename="no type.pdf"', "no type.pdf"),
        (b'attachment; filename="a; b=c.pdf"; size=3', "a; b=c.pdf"),
        (b'attachment; filename="say \\"hi\\".pdf"', 'say "hi".pdf'),
        (b'attachment; filename="never closed.pdf', "never closed.pdf"),
        (b'attachment; filename="one.pdf"; filename="two.pdf"', "one.pdf"),
        # RFC 6266 and RFC 8187: the extended form, which wins where it can be read
        (b"attachment; filename*=UTF-8''Pr%C3%BCfung.pdf", "Prüfung.pdf"),
        (b"attachment; filename=old.pdf; filename*=utf-8'de'neu%20%E2%82%AC.pdf", "neu €.pdf"),
        (b"attachment; filename*=utf-8''neu.pdf; filename=old.pdf", "neu.pdf"),
        (b"attachment; filename*=iso-8859-1'de'Pr%FCfung.pdf", "Prüfung.pdf"),
        (b"attachment; filename*=\"UTF-8''quoted%20too.pdf\"", "quoted too.pdf"),
        (b"attachment; filename*=klingon''x.pdf; filename=y.pdf", "y.pdf"),
        (b"attachment; filename*=utf-8''%FF%FE.pdf; filename=y.pdf", "y.pdf"),
        (b"attachment; filename*=nonsense; filename=y.pdf", "y.pdf"),
        (b'attachment; filename*0="a long"; filename*1=" name.pdf"', "a long name.pdf"),
        (b"attachment; filename*0*=UTF-8''Pr%C3%BC; filename*1*=fung.pdf", "Prüfung.pdf"),
        # what servers send in place of these
        ('attachment; filename="Prüfung.pdf"'.encode(), "Prüfung.pdf"),
        ('attachment; filename="検査.pdf"'.encode(), "検査.pdf"),
        ('attachment; filename="Prüfung.pdf"'.encode("latin-1"), "Prüfung.pdf"),
        ('attachment; filename="€ 5.pdf"'.encode("cp1252"), "€ 5.pdf"),
        ("attachment; filename*=UTF-8''" + quote("Prüfung.pdf".encode().decode("latin-1")), "Prüfung.pdf"),
        (b'attachment; filename="=?UTF-8?B?UHLDvGZ1bmcucGRm?="', "Prüfung.pdf"),
        (b'attachment; filename="=?iso-8859-1?Q?Pr=FCfung.pdf?="', "Prüfung.pdf"),
        (b'attachment; filename="a%20b%C3%A4.pdf"', "a bä.pdf"),
        (b'attachment; filename="100% sure.pdf"', "100% sure.pdf"),
        # a name is a name, whatever folders somebody writes before it
        (b'attachment; filename="../../etc/passwd"', "passwd"),
        (b'attachment; filename="..\\\\..\\\\evil.pdf"', "evil.pdf"),
        (b'attachment; filename="C:\\Documents\\a.pdf"', "a.pdf"),
        (b"attachment; filename*=UTF-8''..%2F..%2Fevil.pdf", "evil.pdf"),
        (b'attachment; filename="%2e%2e%2fevil.pdf"', "evil.pdf"),
    ],
)
def test_the_header_gives_the_name(disposition: bytes | str, name: str) -> None:
    """Whichever way of writing it the server's authors have found."""
    header = disposition if isinstance(disposition, str) else as_it_comes(disposition)
    assert proposed_name(header, _URL) == name


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        ("", "https://x/files/a%20b.pdf?token=1", "a b.pdf"),
        ("inline", "https://x/files/a.pdf#page=2", "a.pdf"),
        ('attachment; filename=""', "https://x/files/a.pdf", "a.pdf"),
        ('attachment; filename="///"', "https://x/files/a.pdf", "a.pdf"),
        ("", "https://x/files/Pr%FCfung.pdf", "Prüfung.pdf"),
        ("", "https://x/files/", "files"),
        ("", "https://x/", "document"),
        ("", "https://x/..%2F..%2Fetc%2Fpasswd", "passwd"),
    ],
)
def test_without_a_name_in_the_header_the_address_gives_one(disposition: str, url: str, name: str) -> None:
    """And without one there either, it is a document."""
    assert proposed_name(disposition, url) == name


@given(st.binary(max_size=200), st.text(max_size=100))
@example(b'attachment; filename*0="', "")
@example(b"attachment; filename*=a'b'%", "[")
def test_any_header_gives_a_name_or_none_and_no_exception(disposition: bytes, path: str) -> None:
    """A name that can be made safe, whatever a server sends."""
    name = proposed_name(as_it_comes(disposition), f"https://x/{quote(path)}")
    assert name
    assert "/" not in name
    assert "\\" not in name
    assert safe_name(name)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=80))
@example("Prüfung 検査.pdf")
def test_the_extended_form_brings_any_name_through(name: str) -> None:
    """Percent-encoded UTF-8 loses nothing, but for the folders and for text that is itself somebody's mojibake."""
    whole = proposed_name(f"attachment; filename*=UTF-8''{quote(name, safe='')}", "https://x/")
    last = repaired(name).replace("\\", "/").rstrip("/ ").rpartition("/")[2].strip()
    assert whole == (last or "document")


@given(st.text(max_size=300))
@example("../../etc/passwd")
@example("CON.pdf")
@example("nul")
@example(".")
@example("a/b\x00c.pdf")
@example("\ud800")
@example("ä" * 300 + ".pdf")
@example("a" * 300)
@example("invoice\u202efdp.exe")
@example("x." + "e" * 40)
@example("a." + "\U00010330" * 10)
def test_any_name_becomes_a_plain_file_name(name: str) -> None:
    """Safe on every file system, and the same for the same input."""
    safe = safe_name(name)
    assert safe == safe_name(name)
    assert safe not in {"", ".", ".."}
    assert not set(safe) & set('/\\:*?"<>|\x00\u202e')
    assert len(safe.encode()) <= 130
    assert safe == safe.strip(" ")
    assert not safe.startswith(".")
    assert not safe.endswith(".")
    assert safe.split(".")[0].casefold() not in {"con", "nul", "prn", "aux", "com1", "lpt1"}


def test_a_long_name_keeps_its_extension() -> None:
    """Without it nobody could open the file."""
    assert safe_name("x" * 500 + ".pdf").endswith("x.pdf")


def test_another_document_of_the_same_name_is_numbered_before_the_extension() -> None:
    """So that both can be opened."""
    assert [numbered(name, 2) for name in ("a.pdf", "a", "a.tar.gz")] == ["a-2.pdf", "a-2", "a.tar-2.gz"]
