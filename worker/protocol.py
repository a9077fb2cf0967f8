"""The wire between the supervisor and a worker: frozen messages in msgpack, one map a frame, no length prefix.

A frame is a msgpack map with the key ``t`` naming the message. The reader finds where frames end with a streaming
unpacker that refuses more than `FRAME_LIMIT` bytes, because a length prefix followed by `recv_bytes()` blocks on half a
frame. What a frame says is decoded by `msgspec`, which makes nothing of it but the message that it is valid for.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import msgpack
import msgspec

VERSION = 1
"""Both sides must speak the same version; a `Hello` with another one is a failure to start."""

FRAME_LIMIT = 8 * 1024 * 1024
"""The most bytes that one frame may take, and that may wait unread in a decoder."""

Text = Annotated[str, msgspec.Meta(max_length=65_536)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""As large as the ledger and JSON can hold exactly."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
"""Neither infinite nor NaN."""

_MOST = msgspec.Meta(max_length=65_536)
"""Entries of one list or map: a header that promises more is refused before there is any room made for them."""


class Kind(StrEnum):
    """What went wrong, as the worker or the supervisor classified it; the policy for each is one table in the core."""

    TIMEOUT = "timeout"  # TASK_TIMEOUT passed in the worker
    STUCK = "stuck"  # STUCK_THRESHOLD passed, the worker was killed
    FROZEN = "frozen"  # the worker's heartbeat stopped, it was killed
    WORKER_DIED = "worker_died"  # the worker ended by itself with the reference in its hands
    WORKER_GARBLED = "worker_garbled"  # the worker sent bytes that are not the protocol
    SUPERVISOR_LOST = "supervisor_lost"  # the supervisor or the machine went down during the attempt
    INTERRUPTED = "interrupted"  # stopped by the operator during the attempt
    BROWSER_LOST = "browser_lost"  # the browser or Playwright's driver died or froze
    PAGE_CRASHED = "page_crashed"  # the renderer died
    PAGE_HUNG = "page_hung"  # the renderer stopped answering
    MEMORY = "memory"  # the worker's tree passed its memory limit in mid-task, it was killed
    NOT_FOUND = "not_found"  # 404, 410 or the site's own words
    FORBIDDEN = "forbidden"  # 403
    SERVER_ERROR = "server_error"  # 5xx
    HTTP_ERROR = "http_error"  # any other 4xx
    RATE_LIMITED = "rate_limited"  # 429, or 503 with Retry-After
    NETWORK = "network"  # refused, reset, timed out connections
    OFFLINE = "offline"  # no name resolution, no route
    CERTIFICATE = "certificate"  # the site's certificate is not accepted
    SESSION_EXPIRED = "session_expired"  # the login page came instead of the page or the document
    LOGIN_REFUSED = "login_refused"  # the site refused the credentials
    LOGIN_FAILED = "login_failed"  # the login could not be tried to its end
    EXPORT_INVALID = "export_invalid"  # the inventory export is not an inventory
    DOCUMENT_INVALID = "document_invalid"  # truncated, empty, not the promised type, or a PDF that needs mending
    DOCUMENT_STALLED = "document_stalled"  # a download that stopped moving
    DOWNLOAD_REFUSED = "download_refused"  # an error status came in place of the download
    DOCUMENTS_MISSING = "documents_missing"  # fewer documents than the recipe expects
    TOO_MANY_DOCUMENTS = "too_many_documents"  # more documents than the recipe expects
    STEP_TIMEOUT = "step_timeout"  # a step of the recipe ran into its own time-out
    RECIPE_ERROR = "recipe_error"  # the recipe raised
    PUBLISH_FAILED = "publish_failed"  # what the worker staged is not what it reported
    DISK_FULL = "disk_full"


# ---------------------------------------------------------------------------------------------------- to the worker
class ToWorker(msgspec.Struct, frozen=True, tag_field="t"):
    """Base of what the supervisor says to a worker."""


class Adopt(ToWorker, frozen=True, tag=True):
    """Be the worker of a slot from now on, after having been a spare, which has none. Answered by a `Heartbeat`."""

    slot: Count
    incarnation: Count
    log_file: Text
    picture_file: Text = ""
    """Where pictures of its page go from now on, where it takes some."""


class LogIn(ToWorker, frozen=True, tag=True):
    """Log in afresh. Answered by `LoggedIn` or `ErrandFailed`, with the same errand."""

    errand: Count
    staging: Text
    """Folder of this errand, made by the worker; after a failure the evidence is there, otherwise it is gone again."""
    deadline: Seconds


class ExportInventory(ToWorker, frozen=True, tag=True):
    """Export the inventory into `staging`. Answered by `InventoryExported` or `ErrandFailed`."""

    errand: Count
    staging: Text
    deadline: Seconds


class ProveSession(ToWorker, frozen=True, tag=True):
    """Open the inventory page to see whether the session holds. Answered by `SessionProven` or `ErrandFailed`."""

    errand: Count
    deadline: Seconds


class Revisit(ToWorker, frozen=True, tag=True):
    """Fetch the documents of a reference that is done, to see whether the site still serves them; they are thrown away.

    Answered by `Served` or `ErrandFailed`, with the same errand.
    """

    errand: Count
    ref: Text
    staging: Text
    deadline: Seconds


class UseSession(ToWorker, frozen=True, tag=True):
    """Take this session (opaque bytes from a `LoggedIn`) for all that follows. Not answered."""

    session: bytes

    def __repr__(self) -> str:
        return f"UseSession({len(self.session)} bytes)"


class Assign(ToWorker, frozen=True, tag=True):
    """Fetch the documents of one reference. Answered by `Succeeded` or `Failed`, with the same attempt."""

    attempt: Count
    ref: Text
    number: Count
    """1 for the first attempt at this reference."""
    last: bool
    """No further attempt follows, so this one gets the whole deadline."""
    staging: Text
    """Folder of this attempt, made by the worker; documents and evidence are written nowhere else."""
    deadline: Seconds
    """TASK_TIMEOUT, in seconds from now."""
    limits: Annotated[dict[Text, Seconds], _MOST] = {}
    """By step: after so many seconds in it the attempt is ended early, because it never took so long in this run."""


class Refresh(ToWorker, frozen=True, tag=True):
    """Throw the browser away and start a fresh one. Answered by `Ready`."""


class ShutDown(ToWorker, frozen=True, tag=True):
    """Close the browser and end with exit code 0. Sent only to a worker that has no work."""


# -------------------------------------------------------------------------------------------------- from the worker
class FromWorker(msgspec.Struct, frozen=True, tag_field="t"):
    """Base of what a worker says to the supervisor."""


class Hello(FromWorker, frozen=True, tag=True):
    """The first message of a child, before it has a browser."""

    version: Count
    pid: Count


class BrowserStarted(FromWorker, frozen=True, tag=True):
    """A browser runs. Sent at each launch, so that its processes can be found when the child is dead."""

    pid: Count
    """The browser's main process; it leads a session of its own."""
    driver_pid: Count
    browser_version: Text


class Ready(FromWorker, frozen=True, tag=True):
    """The worker can take work: after its start, and after a `Failed` with ready=False."""


class StartFailed(FromWorker, frozen=True, tag=True):
    """The worker cannot get ready and ends now; `reason` is one sentence, secrets masked."""

    reason: Text


class Heartbeat(FromWorker, frozen=True, tag=True):
    """The event loop turns. Sent every `WorkerSettings.heartbeat_interval` seconds, also during work."""

    attempt: Count
    """The attempt in hand, 0 when there is none."""
    step: Text
    step_seconds: Seconds
    requests: Annotated[dict[Text, Count], _MOST] = {}
    """Requests by host since the last heartbeat; one more comes before each answer, so that they are complete."""


class LoggedIn(FromWorker, frozen=True, tag=True):
    """The session, as opaque bytes for `UseSession`; a secret."""

    errand: Count
    session: bytes

    def __repr__(self) -> str:
        return f"LoggedIn(errand={self.errand}, {len(self.session)} bytes)"


class InventoryExported(FromWorker, frozen=True, tag=True):
    """The export lies in the staging folder of the errand as `file`."""

    errand: Count
    file: Text
    column: Text
    delimiter: Text
    encoding: Text
    place: Text = ""
    """Where the recipe says so, for the sentence that the export is not like that."""


class SessionProven(FromWorker, frozen=True, tag=True):
    """The inventory page is one for who is logged in."""

    errand: Count


class Served(FromWorker, frozen=True, tag=True):
    """The site served the reference of a `Revisit`, every document whole."""

    errand: Count
    proven: bool = True
    """As in `Succeeded`."""


class ErrandFailed(FromWorker, frozen=True, tag=True):
    """A login, an export, a proof or a revisit came to nothing. `ready` as in `Failed`."""

    errand: Count
    kind: Kind
    message: Text
    ready: bool
    retry_after: Seconds | None = None
    instead: Text = ""
    """As in `Failed`."""


class Document(msgspec.Struct, frozen=True):
    """One verified file in the staging folder."""

    name: Text
    """File name within the staging folder, safe on every file system, unique there."""
    url: Text
    """Where it came from, secrets masked."""
    bytes: Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    pages: Count | None
    """Pages of a PDF; None for other formats and for protected PDFs."""
    format: Text = ""
    """By its content: ``pdf``, ``jpg`` … as `worker.formats` names them; empty for none that is known."""
    protected: bool = False
    """It opens with a password only."""


class Step(msgspec.Struct, frozen=True):
    """How long one named step of the recipe took."""

    name: Text
    seconds: Seconds


class Succeeded(FromWorker, frozen=True, tag=True):
    """Every document of the reference is staged and verified."""

    attempt: Count
    documents: Annotated[tuple[Document, ...], _MOST]
    steps: Annotated[tuple[Step, ...], _MOST] = ()
    proven: bool = True
    """A page of this attempt was seen to be one for who is logged in."""


class Failed(FromWorker, frozen=True, tag=True):
    """The attempt came to nothing. With ready=False the worker recovers now, then says `Ready` (or dies trying)."""

    attempt: Count
    kind: Kind
    message: Text
    """One sentence that the owner of the site would understand; secrets masked."""
    ready: bool
    url: Text = ""
    status: Count = 0
    """HTTP status, 0 where there is none."""
    retry_after: Seconds | None = None
    steps: Annotated[tuple[Step, ...], _MOST] = ()
    instead: Text = ""
    """What is the same for everybody to whom the same web page came in place of what was asked for; mostly empty."""
    proven_after: Seconds | None = None
    """Seconds after the order came in which a page was asked for that turned out to be one for who is logged in; null
    where none was. How long this answer takes to arrive makes that moment no later."""


Inbound = Adopt | LogIn | ExportInventory | ProveSession | Revisit | UseSession | Assign | Refresh | ShutDown
Outbound = (
    Hello
    | BrowserStarted
    | StartFailed
    | Ready
    | Heartbeat
    | LoggedIn
    | InventoryExported
    | SessionProven
    | Served
    | ErrandFailed
    | Succeeded
    | Failed
)


class ProtocolError(Exception):
    """Bytes that are not the protocol. The sentence says what was found; the peer is not to be trusted any more."""


_encode = msgspec.msgpack.Encoder().encode


def encode(message: ToWorker | FromWorker) -> bytes:
    """Return the frame of `message`.

    Raises:
        ProtocolError: the frame would be larger than `FRAME_LIMIT`.
    """
    frame = _encode(message)
    if len(frame) > FRAME_LIMIT:
        raise ProtocolError(f"{type(message).__name__} takes {len(frame)} bytes, at most {FRAME_LIMIT} are allowed")
    return frame


class Decoder:
    """Turns any bytes, in pieces of any size, into validated messages of one direction."""

    def __init__(self, direction: Any) -> None:
        self._decode = msgspec.msgpack.Decoder(direction).decode
        self._frames = msgpack.Unpacker(max_buffer_size=FRAME_LIMIT)
        self._ended = 0
        """Bytes of all the frames that were whole."""
        self._begun = bytearray()
        """What came after them."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the messages that `data` completes.

        Raises:
            ProtocolError: the bytes are not msgpack, too many, or not a message of this direction.
        """
        try:
            self._frames.feed(data)
            self._begun += data
            while self._skip():
                ended = self._frames.tell()
                frame = self._begun[: ended - self._ended]
                del self._begun[: ended - self._ended]
                self._ended = ended
                yield self._decode(frame)
        except (msgspec.DecodeError, ValueError, msgpack.UnpackException, RecursionError) as error:
            raise ProtocolError(f"not a message of protocol {VERSION}: {str(error)[:200]}") from error

    def _skip(self) -> bool:
        """Go to the end of the frame that has begun; False as long as it has not come."""
        try:
            self._frames.skip()
        except msgpack.OutOfData:
            return False
        return True


def from_worker() -> Decoder:
    """Return the decoder that the supervisor uses."""
    return Decoder(Outbound)


def to_worker() -> Decoder:
    """Return the decoder that a worker uses."""
    return Decoder(Inbound)
