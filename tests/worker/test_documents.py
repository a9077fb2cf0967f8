"""Which files are accepted as documents, under which names, with no browser involved."""

import asyncio
import hashlib
from pathlib import Path

import pikepdf
import pytest
from fpdf import FPDF
from hypothesis import example, given
from hypothesis import strategies as st

from tests.worker.lot_site import make_pdf
from worker.documents import Answer, Staging, proposed_name, refuse_html, safe_name, stage
from worker.protocol import Document, Kind
from worker.site import SiteFailure

PDF = make_pdf("whole")


def bring(
    tmp_path: Path, body: bytes, *, headers: dict[str, str] | None = None, name: str = "a.pdf", limit: int = 10**7
) -> Document:
    answer = Answer("https://lot.example/a", headers)
    expect_pdf = name.endswith(".pdf")
    return asyncio.run(stage(body, tmp_path / name, answer, limit=limit, shown_url=answer.url, expect_pdf=expect_pdf))


def refused(tmp_path: Path, body: bytes, *, headers: dict[str, str] | None = None, limit: int = 10**7) -> SiteFailure:
    with pytest.raises(SiteFailure) as caught:
        bring(tmp_path, body, headers=headers, limit=limit)
    assert list(tmp_path.iterdir()) == [], "a refused file must not stay"
    return caught.value


def test_a_whole_pdf_is_accepted_with_size_hash_and_pages(tmp_path: Path) -> None:
    """What is reported is what lies on the disk."""
    document = bring(tmp_path, PDF, headers={"content-length": str(len(PDF))})
    assert document == Document("a.pdf", "https://lot.example/a", len(PDF), hashlib.sha256(PDF).hexdigest(), 1)
    assert (tmp_path / "a.pdf").read_bytes() == PDF


def test_a_file_in_the_browsers_folder_is_copied(tmp_path: Path) -> None:
    """Downloads arrive as files."""
    source = tmp_path / "guid"
    source.write_bytes(PDF)
    answer = Answer("https://lot.example/a")
    target = tmp_path / "a.pdf"
    document = asyncio.run(stage(source, target, answer, limit=10**7, shown_url="", expect_pdf=True))
    assert document.bytes == len(PDF)
    assert target.read_bytes() == PDF


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
    assert refused(tmp_path, body).kind is Kind.DOCUMENT_INVALID


def test_a_pdf_without_pages_is_refused(tmp_path: Path) -> None:
    """It is whole and useless."""
    empty = tmp_path / "empty"
    pikepdf.new().save(empty)
    body = empty.read_bytes()
    empty.unlink()
    assert "no page" in str(refused(tmp_path, body))


def test_a_password_protected_pdf_is_valid(tmp_path: Path) -> None:
    """Its pages are not ours to count."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="owner", user_password="user")  # noqa: S106 - of a file made here
    assert bring(tmp_path, bytes(pdf.output())).pages is None


def test_the_promised_length_counts_unless_the_content_was_encoded(tmp_path: Path) -> None:
    """The length of a compressed transfer is another one."""
    wrong = {"content-length": str(len(PDF) + 1)}
    assert "promised" in str(refused(tmp_path, PDF, headers=wrong))
    assert bring(tmp_path, PDF, headers=wrong | {"content-encoding": "gzip"}).pages == 1


def test_what_is_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    """Before all of it is on the disk."""
    assert "larger" in str(refused(tmp_path, PDF, limit=100))


def test_a_web_page_in_place_of_a_document_is_told_apart_from_the_login_page() -> None:
    """The login page is the session's trouble, any other the document's."""
    with pytest.raises(SiteFailure) as caught:
        refuse_html("a.pdf", b"\xef\xbb\xbf \n<!DOCTYPE html><p>Sorry", Kind.DOCUMENT_INVALID)
    assert caught.value.kind is Kind.DOCUMENT_INVALID
    with pytest.raises(SiteFailure) as caught:
        refuse_html("a.pdf", b"<html>" + b" " * 5000 + b"<input name=p type='password'>", Kind.DOCUMENT_INVALID)
    assert caught.value.kind is Kind.SESSION_EXPIRED


def test_other_types_are_accepted_by_their_own_name(tmp_path: Path) -> None:
    """A photo needs no pages; a page of text called a PDF by its type does."""
    assert bring(tmp_path, b"\xff\xd8jpeg", name="photo.jpg").pages is None
    with pytest.raises(SiteFailure):
        bring(tmp_path, b"text", name="other.bin", headers={"content-type": "application/pdf; charset=x"})


@given(st.text(max_size=300))
@example("../../etc/passwd")
@example("CON.pdf")
@example(".")
@example("a/b\x00c.pdf")
@example("\ud800")
@example("ä" * 300 + ".pdf")
def test_any_name_becomes_a_plain_file_name(name: str) -> None:
    """Safe on every file system, and the same for the same input."""
    safe = safe_name(name)
    assert safe == safe_name(name)
    assert safe not in {"", ".", ".."}
    assert not set(safe) & set('/\\:*?"<>|\x00')
    assert len(safe.encode()) <= 130
    assert safe == safe.strip(" ")
    assert not safe.startswith(".")


@given(st.lists(st.sampled_from(["a.pdf", "A.PDF", "a-2.pdf", "evidence", "manifest.json", "x"]), max_size=12))
def test_no_two_documents_get_the_same_name(names: list[str]) -> None:
    """Not even on file systems that do not tell cases apart, and the program's own names stay free."""
    staging = Staging(Path("/somewhere"))
    given_out = [staging.reserve(name).name.casefold() for name in names]
    assert len(set(given_out)) == len(given_out)
    assert not {"evidence", "manifest.json"} & set(given_out)


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        ('attachment; filename="in voice.pdf"', "https://x/y", "in voice.pdf"),
        ("attachment; filename*=UTF-8''Pr%C3%BCfung.pdf", "https://x/y", "Prüfung.pdf"),
        ('attachment; filename="..\\\\..\\\\evil.pdf"', "https://x/y", "evil.pdf"),
        ("", "https://x/files/a%20b.pdf?token=1", "a b.pdf"),
        ("", "https://x/", "document"),
    ],
)
def test_the_sites_own_name_comes_from_the_header_or_the_address(disposition: str, url: str, name: str) -> None:
    """Without any folder in it."""
    assert proposed_name(disposition, url) == name
