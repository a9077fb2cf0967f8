"""One table: for each kind of failure, what it costs, whether it is tried again, and whom it concerns."""

from enum import Enum

import msgspec

from worker.protocol import Kind


class Concern(Enum):
    """Whose trouble it is."""

    REFERENCE = "reference"
    WORKER = "worker"
    SITE = "site"
    RUN = "run"


class Alike(Enum):
    """Failures of one group look alike to the breaker: the same outage shows as any of them."""

    UNREACHABLE = "the site cannot be reached"
    BROKEN = "the site answers with errors"
    SILENT = "the site does not answer in time"
    REPLACED = "the same web page comes in place of what was asked for"


class Rule(msgspec.Struct, frozen=True):
    """What one kind of failure means."""

    concern: Concern
    counted: bool = True
    """It costs the reference an attempt."""
    tries: int | None = None
    """Attempts after which this kind is final; None for as many as MAX_RETRIES allows."""
    crashed: bool = False
    """It took the browser or the worker down: twice makes the reference poison."""
    alike: Alike | None = None
    """The breaker's group, when several workers meeting it at once means that the site is down."""
    answers: bool = False
    """The site was there and answered sensibly: proof for the breaker."""
    bounded: bool = True
    """When not counted: it counts after all once the reference came back uncounted FREE_RETURNS times."""


_REFERENCE = Rule(Concern.REFERENCE)
_CRASH = Rule(Concern.WORKER, crashed=True)

RULES: dict[Kind, Rule] = {
    Kind.TIMEOUT: Rule(Concern.REFERENCE, alike=Alike.SILENT),
    Kind.STEP_TIMEOUT: Rule(Concern.REFERENCE, alike=Alike.SILENT),
    Kind.PAGE_HUNG: _REFERENCE,
    Kind.STUCK: _CRASH,
    Kind.FROZEN: _CRASH,
    Kind.WORKER_DIED: _CRASH,
    Kind.WORKER_GARBLED: _CRASH,
    Kind.BROWSER_LOST: _CRASH,
    Kind.PAGE_CRASHED: _CRASH,
    Kind.MEMORY: _CRASH,
    Kind.SUPERVISOR_LOST: Rule(Concern.RUN),
    Kind.INTERRUPTED: Rule(Concern.RUN, counted=False),
    Kind.DISK_FULL: Rule(Concern.RUN, counted=False, bounded=False),
    Kind.NOT_FOUND: Rule(Concern.REFERENCE, tries=1, answers=True),
    Kind.FORBIDDEN: Rule(Concern.REFERENCE, tries=2, answers=True),
    Kind.HTTP_ERROR: Rule(Concern.REFERENCE, tries=2, answers=True),
    Kind.SERVER_ERROR: Rule(Concern.REFERENCE, alike=Alike.BROKEN),
    Kind.RATE_LIMITED: Rule(Concern.SITE, counted=False),
    Kind.NETWORK: Rule(Concern.SITE, counted=False, alike=Alike.UNREACHABLE),
    Kind.OFFLINE: Rule(Concern.SITE, counted=False, alike=Alike.UNREACHABLE),
    Kind.CERTIFICATE: Rule(Concern.SITE, tries=1),
    Kind.SESSION_EXPIRED: Rule(Concern.SITE, counted=False),
    Kind.LOGIN_REFUSED: Rule(Concern.RUN, counted=False, bounded=False),
    Kind.LOGIN_FAILED: Rule(Concern.SITE, counted=False),
    Kind.EXPORT_INVALID: Rule(Concern.RUN, counted=False),
    Kind.DOCUMENT_INVALID: Rule(Concern.REFERENCE, answers=True),
    Kind.DOCUMENT_STALLED: Rule(Concern.REFERENCE, alike=Alike.SILENT),
    Kind.DOWNLOAD_REFUSED: Rule(Concern.REFERENCE, alike=Alike.BROKEN),
    Kind.DOCUMENTS_MISSING: Rule(Concern.REFERENCE, answers=True),
    Kind.TOO_MANY_DOCUMENTS: Rule(Concern.REFERENCE, answers=True),
    Kind.RECIPE_ERROR: _REFERENCE,
    Kind.PUBLISH_FAILED: _REFERENCE,
}
