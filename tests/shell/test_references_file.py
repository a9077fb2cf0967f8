import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.shell.references_file import ReferenceList, ReferencesError, read_references


def read(data: bytes, column: str | None = None, **options: str) -> ReferenceList:
    return read_references(io.BytesIO(data), column=column, **options)


@pytest.mark.parametrize(
    "data",
    [
        b"A\nB\nC\n",
        b"A\r\nB\r\nC",
        b"A\rB\rC\r",
        b"\xef\xbb\xbfA\nB\nC",
        "A\nB\nC\n".encode("utf-16"),
        b"\xfe\xff" + "A\r\nB\r\nC".encode("utf-16-be"),
        b"  A \n\tB\nC\n",
    ],
)
def test_any_usual_text_file_is_read(data: bytes) -> None:
    """Line ends of every system, a byte order mark, UTF-16 and white space around a reference are fine."""
    assert read(data) == ReferenceList(["A", "B", "C"], duplicates=0, blanks=0)


def test_duplicates_collapse_and_blanks_are_counted() -> None:
    """Each reference is there once, in the order of its first coming; nothing else is dropped without being counted."""
    assert read(b"A\n\nB\nA \n \nA\na\n-x\n") == ReferenceList(["A", "B", "a", "-x"], duplicates=2, blanks=2)


def test_one_column_of_a_csv_is_read() -> None:
    """Quoted fields may hold separators, quotes and line ends; rows that are too short are blanks."""
    data = b'Price,Stock No\r\n"1,000",A\r\n"says ""new""\r\nand used",B\r\n7\r\n\r\n3," C "\r\n2,"D\nE"\r\n'
    assert read(data, "Stock No") == ReferenceList(["A", "B", "C", "D\nE"], duplicates=0, blanks=2)


def test_a_column_is_found_whatever_its_case() -> None:
    """White space and case around a column's name do not matter, unless both spellings are there."""
    assert read(b" STOCK no ;x\nA;1\n", "Stock No", delimiter=";").names == ["A"]
    assert read(b"ref,Ref\nA,B\n", "Ref").names == ["B"]
    with pytest.raises(ReferencesError, match="is there 2 times"):
        read(b"ref,REF\nA,B\n", "Ref")


def test_another_encoding_is_read() -> None:
    """A site may export in the encoding of its country."""
    assert read("Größe\nÜ1\n".encode("cp1252"), "Größe", encoding="cp1252").names == ["Ü1"]


@pytest.mark.parametrize(
    ("data", "column", "sentence"),
    [
        (b"", None, "is empty"),
        (b"\xef\xbb\xbf", None, "holds no reference"),
        (b"\n \r\n\n", None, "holds no reference"),
        (b"\n\n", "Ref", "blank lines alone"),
        (b"Ref\n\n", "Ref", "holds no reference"),
        (b"A\0B\n", None, "line 1 of the input holds a zero byte: the file is binary"),
        (b"\x89PNG\r\n\x1a\n\xff", None, "is no text in utf-8: there is a byte 0x89"),
        (b"\n<!DOCTYPE html>\n<html>", None, "is a web page"),
        (b"<html><body>log in</body>", "Ref", "is a web page"),
        (b"A\n" + b"x" * 1_000_000, None, "line 2 of the input is longer than 65536 characters"),
        (b"A\nB\n" + b"x" * 1001, None, "line 3 of the input holds a reference of 1001 characters; at most 1000"),
        (b"a,b,c\n1,2,3\n", "Ref", "has no column 'Ref'; there are 'a', 'b', 'c'"),
        (b"Ref;Price\nA;1\n", "Ref", "are the fields separated by a semicolon"),
        (b'Ref\nA\n"B\nC\nD\n', "Ref", "line 5 of the input is no sound CSV: unexpected end of data"),
        (b'Ref\n"A"x\n', "Ref", "line 2 of the input is no sound CSV"),
        (b'Ref\n"' + b"x\n" * 200_000, "Ref", "is no sound CSV: field larger than field limit"),
    ],
)
def test_what_is_no_list_of_references_gets_one_sentence(data: bytes, column: str | None, sentence: str) -> None:
    """Each mistake is told with what was found, in one line."""
    with pytest.raises(ReferencesError) as caught:
        read(data, column)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_way_to_read_is_refused() -> None:
    """A separator of two characters and an encoding that nobody knows are the recipe's mistakes."""
    with pytest.raises(ReferencesError, match="cannot separate"):
        read(b"A", "A", delimiter="||")
    with pytest.raises(ReferencesError, match="'klingon' is no text encoding"):
        read(b"A", encoding="klingon")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Missing, and a folder: the sentence names the path."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ReferencesError, match=f"{path} cannot be read"):
            read_references(path, column=None)


def test_a_path_and_an_open_file_are_read_alike(tmp_path: Path) -> None:
    """A file given open, such as standard input, is left open."""
    path = tmp_path / "refs.txt"
    path.write_bytes(b"A\nB\n")
    assert read_references(path, column=None).names == ["A", "B"]
    with path.open("rb") as file:
        assert read_references(file, column=None).names == ["A", "B"]
        assert not file.closed


@given(st.binary(max_size=300), st.sampled_from([None, "a", ""]))
def test_any_bytes_are_read_or_refused(data: bytes, column: str | None) -> None:
    """Whatever the bytes are, the answer is a list without duplicates and blanks, or one sentence."""
    try:
        found = read(data, column)
    except ReferencesError:
        return
    assert found.names
    assert len(set(found.names)) == len(found.names)
    assert all(name == name.strip() and name for name in found.names)
