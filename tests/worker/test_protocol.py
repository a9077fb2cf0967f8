"""Whatever a child sends, in pieces of any size: messages, or one refusal, and no more memory than a frame takes."""

import math
import struct
import tracemalloc
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.protocol import (
    FRAME_LIMIT,
    BrowserStarted,
    Decoder,
    Document,
    ErrandFailed,
    Failed,
    FromWorker,
    Heartbeat,
    Hello,
    Inbound,
    InventoryExported,
    Kind,
    LoggedIn,
    Outbound,
    ProtocolError,
    Ready,
    Served,
    SessionProven,
    StartFailed,
    Step,
    Succeeded,
    encode,
    from_worker,
    to_worker,
)

_TEXTS = st.text(max_size=20)
_COUNTS = st.integers(0, 2**53)
_SECONDS = st.floats(0, 1e9)
_DOCUMENTS = st.builds(
    Document,
    name=_TEXTS,
    url=_TEXTS,
    bytes=_COUNTS,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    pages=st.none() | _COUNTS,
)
_STEPS = st.builds(Step, name=_TEXTS, seconds=_SECONDS)
MESSAGES: st.SearchStrategy[Any] = st.one_of(
    st.builds(Hello, _COUNTS, _COUNTS),
    st.builds(BrowserStarted, _COUNTS, _COUNTS, _TEXTS),
    st.builds(StartFailed, _TEXTS),
    st.just(Ready()),
    st.builds(Heartbeat, _COUNTS, _TEXTS, _SECONDS, st.dictionaries(_TEXTS, _COUNTS, max_size=3)),
    st.builds(LoggedIn, _COUNTS, st.binary(max_size=300)),
    st.builds(InventoryExported, _COUNTS, _TEXTS, _TEXTS, _TEXTS, _TEXTS, _TEXTS),
    st.builds(SessionProven, _COUNTS),
    st.builds(Served, _COUNTS, st.booleans()),
    st.builds(ErrandFailed, _COUNTS, st.sampled_from(Kind), _TEXTS, st.booleans(), st.none() | _SECONDS),
    st.builds(Succeeded, _COUNTS, st.lists(_DOCUMENTS, max_size=3).map(tuple), st.lists(_STEPS, max_size=3).map(tuple)),
    st.builds(Failed, _COUNTS, st.sampled_from(Kind), _TEXTS, st.booleans(), status=st.integers(0, 999)),
)
_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=10)
    | st.binary(max_size=10)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.binary(max_size=4), inner),
    max_leaves=12,
)
_NAMES = sorted(one.__name__ for one in FromWorker.__subclasses__())
_NEARLY = st.builds(
    lambda name, fields: {"t": name, **fields},
    st.sampled_from(_NAMES),
    st.dictionaries(st.sampled_from(["attempt", "errand", "kind", "documents", "ready", "pid", "steps"]), _ANYTHING),
)
STREAMS = st.lists(
    st.one_of(
        MESSAGES.map(encode),
        st.binary(max_size=60),
        _ANYTHING.map(msgpack.packb),
        _NEARLY.map(msgpack.packb),
    ),
    max_size=6,
).map(b"".join)


def _decode(decoder: Decoder, pieces: list[bytes]) -> tuple[list[Any], str]:
    """Return the messages, and the refusal after them, if any."""
    found: list[Any] = []
    try:
        for piece in pieces:
            found.extend(decoder.feed(piece))
    except ProtocolError as error:
        return found, str(error)
    return found, ""


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 5000), max_size=8))
def test_what_a_worker_says_arrives_as_it_was_said(messages: list[Any], cuts: list[int]) -> None:
    """Every message, in its order, wherever the stream is torn."""
    pieces = _cut(b"".join(encode(message) for message in messages), cuts)
    assert _decode(from_worker(), pieces) == (messages, "")


def test_nothing_is_said_that_would_not_be_heard() -> None:
    """A frame beyond the limit is an error where it is made, and not at the other end."""
    with pytest.raises(ProtocolError, match="LoggedIn takes"):
        encode(LoggedIn(1, bytes(FRAME_LIMIT)))
    assert encode(LoggedIn(1, bytes(FRAME_LIMIT - 100)))


@settings(max_examples=1000, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 500), max_size=5))
def test_any_bytes_are_messages_or_one_refusal_wherever_they_are_torn(data: bytes, cuts: list[int]) -> None:
    """Nothing else is ever raised; what is yielded can be sent and read again; the pieces make no difference."""
    whole, refusal = _decode(from_worker(), [data])
    assert _decode(from_worker(), _cut(data, cuts)) == (whole, refusal)
    for message in whole:
        assert isinstance(message, FromWorker)
        assert list(from_worker().feed(encode(message))) == [message]
    assert len(refusal) < 300
    assert "\n" not in refusal


@settings(max_examples=100, deadline=None)
@given(STREAMS)
def test_a_worker_refuses_in_the_same_way(data: bytes) -> None:
    """Its decoder is for the other direction."""
    whole, _ = _decode(to_worker(), [data])
    assert all(isinstance(message, Inbound) for message in whole)


@pytest.mark.parametrize(
    "header",
    [
        b"\xdd" + struct.pack(">I", FRAME_LIMIT),  # a list of as many entries as a frame has bytes
        b"\xdf" + struct.pack(">I", FRAME_LIMIT // 2),  # a map
        b"\x91",  # a list in a list in a list
        b"\x81\xa1a",
    ],
    ids=["list", "map", "lists in lists", "maps in maps"],
)
def test_headers_that_promise_much_cost_nothing(header: bytes) -> None:
    """A few bytes may claim millions of entries, many times over; that is refused before any of it is set aside."""
    tracemalloc.start()
    try:
        _, refusal = _decode(from_worker(), [header * 2000])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refusal
    assert most < FRAME_LIMIT


def test_a_whole_list_of_millions_is_refused_before_there_is_room_for_it() -> None:
    """What it takes is the frame and its copies, not eight bytes for each of its entries."""
    entries = FRAME_LIMIT - 100
    frame = b"\x83\xa1t\xa9Succeeded\xa7attempt\x01\xa9documents\xdd" + struct.pack(">I", entries) + b"\xc0" * entries
    tracemalloc.start()
    try:
        assert "length <= 65536" in _decode(from_worker(), [frame])[1]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 5 * FRAME_LIMIT


@pytest.mark.parametrize("header", [b"\xdb\x00\x80\x00\x00", b"\xc6\xff\xff\xff\xff"], ids=["8 MiB", "4 GiB"])
def test_a_frame_that_never_ends_is_refused_at_its_limit(header: bytes) -> None:
    """However it comes, no more of it is kept than a frame may take."""
    piece = b"x" * 65_536
    pieces = [b"\x81\xa1t" + header, *[piece] * (2 * FRAME_LIMIT // len(piece))]
    tracemalloc.start()
    try:
        assert _decode(from_worker(), pieces)[1]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 5 * FRAME_LIMIT  # the buffer while it grows, and one value


@pytest.mark.parametrize(
    "frame",
    [
        b"\xd6\xff\x00\x00\x00\x01",  # a time
        b"\xc7\x05\xff\x00\x00\x00\x00\x01",  # a time of a length that none has
        b"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # a time of more nanoseconds than a second has
        b"\xc7\x00\x2a",  # an extension without content
        b"\xc9\xff\xff\xff\xff\x01" + b"x" * 100,  # an extension of 4 GiB, for which one waits
        b"\x81\xa1t\xa3\xed\xa0\x80",  # half a character
        b"\x81\xa1t\xa5Nobod",  # a message that is none
        b"\x82\xa1t\xa5Ready\xa1t\xa5Nobod",  # a name twice: the last one counts
        b"\x81\x90\x01",  # a list for a key
        b"\x81\xc0\x01",  # nothing for a key
        b"\x80",
        b"\xc4\x00",
        b"\xa0",
        b"\xc1",
    ],
)
def test_what_msgpack_knows_and_the_protocol_does_not_is_refused(frame: bytes) -> None:
    """At once or, where more may come, not before; what follows is never taken for a message."""
    found, refusal = _decode(from_worker(), [frame, encode(Ready())])
    assert found == []
    assert refusal or frame.startswith(b"\xc9")


def test_a_field_that_is_there_twice_counts_once() -> None:
    """The last one, as in any map; it is still a message of the protocol."""
    frame = b"\x84\xa1t\xa5Hello\xa3pid\x01\xa7version\x01\xa3pid\x02"
    assert _decode(from_worker(), [frame]) == ([Hello(1, 2)], "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempt", -1),
        ("attempt", 2**63),
        ("retry_after", math.inf),
        ("retry_after", math.nan),
        ("proven_after", -0.5),
        ("status", 2**63),
        ("kind", "unheard of"),
        ("message", "x" * 65_537),
    ],
)
def test_what_no_ledger_could_hold_is_refused(name: str, value: object) -> None:
    """Numbers without end, and larger ones than the ledger's."""
    sound = {"t": "Failed", "attempt": 1, "kind": "timeout", "message": "", "ready": True}
    assert list(from_worker().feed(msgpack.packb(sound))) == [Failed(1, Kind.TIMEOUT, "", ready=True)]
    with pytest.raises(ProtocolError):
        list(from_worker().feed(msgpack.packb({**sound, name: value})))


def test_each_message_of_the_protocol_is_tried() -> None:
    """A message that is added later is fuzzed as well."""
    tried = {type(message) for message in _examples()}
    assert tried == set(Outbound.__args__)


def _examples() -> list[Any]:
    found: list[Any] = []

    @settings(max_examples=200, database=None, derandomize=True)
    @given(MESSAGES)
    def collect(message: Any) -> None:
        found.append(message)

    collect()
    return found
