"""What a document is, by its content; and that it is whole."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.worker.lot_site import make_pdf
from worker import formats
from worker.formats import FORMATS, HEAD, examine, fitting_name, identify
from worker.protocol import Kind
from worker.site import SiteFailure

PDF = make_pdf("whole")


def picture(form: str) -> bytes:
    out = io.BytesIO()
    image = Image.frombytes("RGB", (64, 48), bytes(range(256)) * 36)
    image.save(out, form)
    return out.getvalue()


def archive(*names: str, first: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        if first:
            made.writestr("mimetype", first)
        for name in names:
            made.writestr(name, b"some content " * 50)
    return out.getvalue()


WHOLE = {
    "pdf": PDF,
    "jpg": picture("JPEG"),
    "png": picture("PNG"),
    "gif": picture("GIF"),
    "webp": picture("WEBP"),
    "tiff": picture("TIFF"),
    "docx": archive("[Content_Types].xml", "word/document.xml"),
    "xlsx": archive("[Content_Types].xml", "xl/workbook.xml"),
    "pptx": archive("[Content_Types].xml", "ppt/presentation.xml"),
    "odt": archive("content.xml", first="application/vnd.oasis.opendocument.text"),
    "ods": archive("content.xml", first="application/vnd.oasis.opendocument.spreadsheet"),
    "zip": archive("a.pdf", "b.pdf"),
    "doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1528,
    "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1528,
    "rtf": b"{\\rtf1 hello}",
    "html": b"<!DOCTYPE html><p>hello",
    "xml": b'<?xml version="1.0"?><a/>',
    "json": b'{"a": [1, 2]}',
    "csv": b"a;b\n1;2\n",
    "txt": "Grüße\n".encode(),
}


def look(path: Path, body: bytes, name: str, *expected: str) -> str:
    path.write_bytes(body)
    return examine(path, body[:HEAD], name, expected)[0]


def refused(path: Path, body: bytes, name: str, *expected: str) -> str:
    with pytest.raises(SiteFailure) as caught:
        look(path, body, name, *expected)
    assert caught.value.kind is Kind.DOCUMENT_INVALID
    return str(caught.value)


def test_every_format_is_tried_here() -> None:
    """A new one needs a sample."""
    assert set(WHOLE) == set(FORMATS)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_what_it_is_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    """Under its own name, under none, and as whatever a script is called that serves it."""
    alike = {"xls", "csv", "json"}  # content alone cannot tell these from another
    for called in (f"a.{name}", *(() if name in alike else ("a", "get.php", "a.2024"))):
        assert look(tmp_path / "x", WHOLE[name], called, name) == name


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "pdf"])
def test_what_is_no_pdf_is_refused_where_pdfs_are_expected(tmp_path: Path, name: str) -> None:
    """Even under a PDF's name; the sentence says what it is instead."""
    said = refused(tmp_path / "x", WHOLE[name], "invoice.pdf", "pdf")
    noun = FORMATS[name].noun if name not in {"xls", "csv", "json"} else ""
    assert said.startswith(f"invoice.pdf is {noun}")
    assert said.endswith("and what the recipe expects is pdf")


@pytest.mark.parametrize("name", ["pdf", "jpg", "png", "gif", "webp", "tiff", "docx", "odt", "zip", "rtf", "json"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_that_lacks_its_end_is_refused(tmp_path: Path, name: str, share: float) -> None:
    """Nothing else tells, when a site sends no length."""
    body = WHOLE[name][: int(len(WHOLE[name]) * share)]
    said = refused(tmp_path / "x", body, f"a.{name}", name, "zip")
    assert any(word in said for word in ("cut off", "damaged", "no whole")), said


def test_an_archive_with_a_damaged_entry_is_refused(tmp_path: Path) -> None:
    """Its directory is whole, and the checksum of one file is not."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        made.writestr("a.txt", b"some content")
    assert "'a.txt' in it" in refused(tmp_path / "x", out.getvalue().replace(b"some", b"same"), "a.zip", "zip")


def test_an_archive_that_would_unpack_to_very_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bomb is looked at by its directory only."""
    unpacked: list[zipfile.ZipFile] = []

    def testzip(archive: zipfile.ZipFile) -> None:
        unpacked.append(archive)

    monkeypatch.setattr(zipfile.ZipFile, "testzip", testzip)
    look(tmp_path / "x", WHOLE["zip"], "a.zip", "zip")
    assert len(unpacked) == 1
    body = bytearray(WHOLE["zip"])
    at = body.index(b"PK\x01\x02") + 24  # the unpacked size in the central directory (APPNOTE, 4.3.12)
    body[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    assert look(tmp_path / "x", bytes(body), "a.zip", "zip") == "zip"
    assert len(unpacked) == 1


def test_a_json_file_that_is_very_large_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take many times its size in memory."""
    broken = b'{"a": [1, 2'
    refused(tmp_path / "x", broken, "a.json", "json")
    monkeypatch.setattr(formats, "_LONGEST_JSON", len(broken) - 1)
    assert look(tmp_path / "x", broken, "a.json", "json") == "json"


def test_something_of_no_known_kind_comes_only_where_anything_is_expected(tmp_path: Path) -> None:
    """The sentence quotes how it begins."""
    body = bytes(range(256)) * 4
    assert look(tmp_path / "x", body, "a.bin", "any") == ""
    assert "begins with b'\\x00\\x01" in refused(tmp_path / "x", body, "a.bin", "pdf", "jpg")


@pytest.mark.parametrize(
    ("name", "format_name", "fitting"),
    [
        ("invoice.pdf", "pdf", "invoice.pdf"),
        ("INVOICE.PDF", "pdf", "INVOICE.PDF"),
        ("invoice", "pdf", "invoice.pdf"),
        ("get.php", "pdf", "get.pdf"),
        ("invoice.bin", "pdf", "invoice.pdf"),
        ("A-1001.v2", "pdf", "A-1001.v2.pdf"),
        ("scan.pdf", "jpg", "scan.jpg"),
        ("photo.jpeg", "jpg", "photo.jpeg"),
        ("notes.log", "txt", "notes.log"),
        ("notes", "txt", "notes.txt"),
        ("thing.xyz", "", "thing.xyz"),
    ],
)
def test_a_name_gets_the_extension_with_which_people_can_open_it(name: str, format_name: str, fitting: str) -> None:
    """What a server calls it is kept otherwise."""
    assert fitting_name(name, format_name) == fitting


@given(st.binary(max_size=2000), st.sampled_from(["", "pdf", "csv", "json", "doc"]))
def test_any_bytes_have_a_known_format_or_none(tmp_path_factory: pytest.TempPathFactory, body: bytes, end: str) -> None:
    """And none of them an exception."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(body)
    assert identify(path, body, end) in {"", *FORMATS}
