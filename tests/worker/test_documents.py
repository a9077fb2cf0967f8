"""Which files are accepted as documents, under which names, with no browser involved."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from fpdf import FPDF
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.lot_site import make_pdf
from worker.documents import Answer, Staging, accept_file, copy, stage, sync_folder
from worker.names import safe_name
from worker.protocol import Document, Kind
from worker.site import SiteFailure

PDF = make_pdf("whole")


def bring(
    tmp_path: Path,
    body: bytes,
    *,
    headers: dict[str, str] | None = None,
    name: str = "a.pdf",
    expected: tuple[str, ...] = ("pdf",),
) -> Document:
    staging = Staging(tmp_path)
    arrival = staging.arrival()
    arrival.write_bytes(body)
    answer = Answer("https://lot.example/a", headers)
    return asyncio.run(stage(arrival, staging, answer, proposed=name, shown_url=answer.url, expected=expected))


def refused(tmp_path: Path, body: bytes, **about: Any) -> SiteFailure:
    with pytest.raises(SiteFailure) as caught:
        bring(tmp_path, body, **about)
    assert list(tmp_path.iterdir()) == [], "a refused file must not stay"
    return caught.value


def test_a_whole_pdf_is_accepted_with_size_hash_and_pages(tmp_path: Path) -> None:
    """What is reported is what lies on the disk."""
    document = bring(tmp_path, PDF, headers={"content-length": str(len(PDF))})
    assert document == Document("a.pdf", "https://lot.example/a", len(PDF), hashlib.sha256(PDF).hexdigest(), 1, "pdf")
    assert (tmp_path / "a.pdf").read_bytes() == PDF


def test_what_was_brought_is_flushed_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the answer takes nothing away."""
    flushed, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        flushed.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    document = bring(tmp_path, PDF)
    assert flushed == {(tmp_path / document.name).stat().st_ino}
    sync_folder(tmp_path)
    assert tmp_path.stat().st_ino in flushed


@pytest.mark.parametrize("cut", [1, 7, 30, 200, len(PDF) // 2, len(PDF) - 10])
def test_a_truncated_pdf_is_refused_although_readers_would_mend_it(tmp_path: Path, cut: int) -> None:
    """Wherever the end is missing; only bytes after the end mark may be."""
    body = PDF[:-cut]
    if body.rstrip().endswith(b"%%EOF"):
        assert bring(tmp_path, body).pages == 1
    else:
        assert refused(tmp_path, body).kind is Kind.DOCUMENT_INVALID


def test_a_pdf_that_lacks_its_middle_is_refused(tmp_path: Path) -> None:
    """Its end mark is there, but nothing lies where its table says."""
    assert "damaged" in str(refused(tmp_path, PDF[:300] + PDF[400:]))


@pytest.mark.parametrize("body", [b"", b"not a PDF", b"x" * 2000 + PDF])
def test_what_does_not_begin_like_a_pdf_is_refused(tmp_path: Path, body: bytes) -> None:
    """Zero bytes included; the header may stand within the first 1,024 bytes only."""
    failure = refused(tmp_path, body)
    assert (failure.kind, "is empty" in str(failure)) == (Kind.DOCUMENT_INVALID, not body)


def test_a_pdf_without_pages_is_refused(tmp_path: Path) -> None:
    """It is whole and useless."""
    empty = tmp_path / "empty"
    pikepdf.new().save(empty)
    body = empty.read_bytes()
    empty.unlink()
    assert "no page" in str(refused(tmp_path, body))


def test_a_pdf_that_is_only_written_carelessly_is_whole(tmp_path: Path) -> None:
    """Many programs leave out what the standard demands of a page, or miscount their objects."""
    assert bring(tmp_path, PDF.replace(b"/MediaBox", b"/MediaXox"), name="b.pdf").pages == 1
    assert bring(tmp_path, PDF.replace(b"/Size ", b"/Size 9"), name="c.pdf").pages == 1


def test_a_password_protected_pdf_is_valid(tmp_path: Path) -> None:
    """Its pages are not ours to count, and it says of itself that it is protected."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="owner", user_password="user")  # noqa: S106 - of a file made here
    document = bring(tmp_path, bytes(pdf.output()))
    assert (document.pages, document.protected, document.format) == (None, True, "pdf")


def test_the_promised_length_counts_unless_the_content_was_encoded(tmp_path: Path) -> None:
    """The length of a compressed transfer is another one."""
    wrong = {"content-length": str(len(PDF) + 1)}
    assert "promised" in str(refused(tmp_path, PDF, headers=wrong))
    assert bring(tmp_path, PDF, headers=wrong | {"content-encoding": "gzip"}).pages == 1


def test_what_the_browser_downloaded_is_not_taken_over_when_it_is_too_large(tmp_path: Path) -> None:
    """The limit holds for every way in which a document comes."""
    source = tmp_path / "guid"
    source.write_bytes(PDF)
    copy(source, tmp_path / "copy", len(PDF))
    assert (tmp_path / "copy").read_bytes() == PDF
    with pytest.raises(SiteFailure) as caught:
        copy(source, tmp_path / "other", len(PDF) - 1)
    assert str(caught.value) == f"the document has {len(PDF)} bytes, and {len(PDF) - 1} are allowed"
    assert not (tmp_path / "other").exists()
    with pytest.raises(FileExistsError):
        copy(source, tmp_path / "copy", len(PDF))


@pytest.mark.parametrize(
    ("body", "headers", "said", "kind"),
    [
        (b"Stock No\nA\n", {}, "", None),
        (b"Stock No\nA\n", {"content-length": "11"}, "", None),
        (b"Stock No\nA\n", {"content-length": "5", "content-encoding": "gzip"}, "", None),
        (b"Stock No\nA\n", {"content-length": "12"}, "came with 11 of 12 bytes", Kind.EXPORT_INVALID),
        (b"", {}, "came with 0 bytes", Kind.EXPORT_INVALID),
        (b"<!doctype html>not now", {}, "a web page", Kind.EXPORT_INVALID),
        (b"<html><input type=password>", {}, "the login page", Kind.SESSION_EXPIRED),
    ],
)
def test_a_file_that_is_no_document_comes_whole_and_is_no_web_page(
    tmp_path: Path, body: bytes, headers: dict[str, str], *, said: str, kind: Kind | None
) -> None:
    """Such as the export; what is refused does not stay."""
    arrival, target = tmp_path / ".arriving-1", tmp_path / "inventory.csv"
    arrival.write_bytes(body)
    answer = Answer("https://lot.example/export", headers)
    if kind is None:
        accept_file(arrival, target, answer)
        assert target.read_bytes() == body
    else:
        with pytest.raises(SiteFailure, match=said) as caught:
            accept_file(arrival, target, answer)
        assert caught.value.kind is kind
        assert not target.exists()
    assert not arrival.exists()


def test_a_web_page_in_place_of_a_document_is_told_apart_from_the_login_page(tmp_path: Path) -> None:
    """The login page is the session's trouble, even where web pages are documents; any other is the document's."""
    page = b"\xef\xbb\xbf \n<!DOCTYPE html><p>Sorry"
    login = b"<html>" + b" " * 5000 + b"<input name=p type='password'>"
    failure = refused(tmp_path, page)
    assert (failure.kind, "is a web page" in str(failure)) == (Kind.DOCUMENT_INVALID, True)
    for expected in (("pdf",), ("html",), ("any",)):
        assert refused(tmp_path, login, expected=expected).kind is Kind.SESSION_EXPIRED
    assert bring(tmp_path, page, name="terms.html", expected=("html",)).format == "html"


@given(st.lists(st.sampled_from(["a.pdf", "A.PDF", "a-2.pdf", "evidence", "manifest.json", "previous"]), max_size=12))
def test_no_two_documents_get_the_same_name(names: list[str]) -> None:
    """Not even on file systems that do not tell cases apart, and the program's own names stay free."""
    staging = Staging(Path("/somewhere"))
    given_out = [staging.reserve(name).name.casefold() for name in names]
    assert len(set(given_out)) == len(given_out)
    assert not {"evidence", "manifest.json", "previous"} & set(given_out)
    assert staging.arrival().name != safe_name(staging.arrival().name), "no document is ever called so"
