"""Settings from every source and lists of references, whatever is in them: taken, or refused in one sentence."""

import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.config import CATALOGUE, SettingsError, resolve
from supervisor.shell.ledger import Ledger
from supervisor.shell.references_file import REFERENCE_LIMIT, ReferencesError, read_references
from supervisor.views.text import clean
from tests.fuzz.effort import effort
from tests.shell.stores import WALL

NAMES = st.sampled_from(sorted(CATALOGUE))
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def said_of(path: Path | None, environ: dict[str, str]) -> str:
    """Return the refusal, nothing where the settings were taken."""
    try:
        resolve({}, environ, path)
    except SettingsError as error:
        return str(error)
    return ""


def is_harmless(said: str) -> bool:
    """Say whether it is one line, and nothing in it moves a cursor."""
    return clean(said, len(said)) == said


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "night.toml"


@effort(120)
@given(st.binary(max_size=120))
@example(b"task_timeout = " + b"[" * 5000)
@example(b"task_timeout = " + b"9" * 5000)
@example(b"task_timeout = 1979-99-99")
@example(b"task_timeout = 1e999")
@example(b"[[task_timeout]]\n[task_timeout.b]")
@example(b"\xef\xbb\xbftask_timeout = 3")
@example(b'"task\\ntimeout" = 3')
@example(b'"\\u001b[2J" = 3')
def test_a_settings_file_of_any_bytes_is_taken_or_refused_in_one_sentence(file: Path, content: bytes) -> None:
    """Never another exception, and nothing in the sentence that could move a cursor."""
    file.write_bytes(content)
    assert is_harmless(said_of(file, {}))


@effort(120)
@given(NAMES, VALUES)
def test_any_value_of_a_settings_file_is_taken_or_refused(file: Path, name: str, value: Any) -> None:
    """Of any type; the sentence names file and setting, and stays short."""
    text = json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")
    file.write_text(f"{name} = {text}\n")
    said = said_of(file, {})
    assert is_harmless(said)
    assert not said or str(file) in said
    assert len(said) < 2500


@effort(120)
@given(st.one_of(NAMES.map(str.upper), st.text(max_size=10)), st.text(max_size=30) | st.just("9" * 5000))
@example("\n", "1")
@example("\udcff", "1")
def test_any_variable_of_ours_is_taken_or_refused(name: str, value: str) -> None:
    """Whatever its name is and its value."""
    assert is_harmless(said_of(None, {f"NIGHTFLEET_{name}": value}))


def test_a_settings_file_without_an_end_is_refused() -> None:
    """It is not read to the end."""
    assert "larger than" in said_of(Path("/dev/zero"), {})


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "utf-7", "shift_jis")
REFERENCES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@effort(150)
@given(
    st.lists(st.tuples(REFERENCES, REFERENCES), min_size=1, max_size=6),
    st.sampled_from(ENCODINGS),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.sampled_from(",;|\t"),
)
def test_what_a_csv_writer_wrote_is_read_as_it_was_meant(
    rows: list[tuple[str, str]], encoding: str, end: str, delimiter: str
) -> None:
    """Quotes, separators and line ends within a field, in any encoding and with a byte order mark where it has one."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["other", "Stock No"])
    writer.writerows(rows)
    try:
        data = text.getvalue().encode(encoding)
        meant = list(dict.fromkeys(name.strip() for _, name in rows if name.strip()))
        assert data.decode(encoding) == text.getvalue() or encoding == "utf-16"
    except UnicodeError:
        return  # this encoding does not have all of these letters
    try:
        found = read_references(io.BytesIO(data), column="Stock No", delimiter=delimiter, encoding=encoding)
    except ReferencesError:
        assert not meant
        return
    assert found.names == meant
    assert len(found.names) + found.duplicates + found.blanks == len(rows)


@effort(150)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from([b"\n", b"\r\n", b"\r", b'"', b",", b";", b"\0", codecs.BOM_UTF8, codecs.BOM_UTF16_BE]),
            st.sampled_from([b"Stock No", b"a,Stock No\n", b"+2AA-", b"x" * 1001, b"\xc2\x85", b"\xe2\x80\xa8"]),
        ),
        max_size=12,
    ).map(b"".join),
    st.sampled_from([None, "Stock No"]),
    st.sampled_from([*ENCODINGS, "hex", "rot13", "unicode_escape", "undefined", "idna", "a\0b", "x" * 500, ""]),
    st.sampled_from([*",;\t| ", "", "\0", "\n", '"', "ab", "\ud800", "é"]),
)
def test_any_list_in_any_way_to_read_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, column: str | None, encoding: str, delimiter: str
) -> None:
    """What is read is something that the ledger can keep, each once; otherwise it is one sentence."""
    try:
        found = read_references(io.BytesIO(data), column=column, delimiter=delimiter, encoding=encoding)
    except ReferencesError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
    assert len(said) < 2000
    if said:
        return
    assert all(0 < len(name) <= REFERENCE_LIMIT for name in found.names)
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    with Ledger.create(path, site="lot", wall=WALL) as ledger:
        assert len(ledger.import_references(found.names).entries) == len(found.names)


class Endless(io.RawIOBase):
    """Has no line end and no end."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


def test_a_line_without_an_end_is_refused_before_it_is_read() -> None:
    """It costs no more than a long line."""
    with pytest.raises(ReferencesError, match="longer than"):
        read_references(io.BufferedReader(Endless()), column=None)
