"""What each kind of failure means and what helps, in words for somebody who has never seen the project."""

from typing import NamedTuple

from worker.protocol import Kind


class Meaning(NamedTuple):
    """One kind of failure for people."""

    means: str
    """One sentence without its full stop, to follow the name of the kind."""
    helps: str
    """What a person can do about it; one sentence without its full stop."""


_AGAIN = "retry queues it again; when it fails in the same way, look at the screenshot and page.html"
_RECIPE = "look at the traceback in error.txt and mend the recipe; run.py check tries it on one reference"
_MACHINE = "retry queues it again; when many fail like this, run.py doctor says what the machine lacks"

MEANINGS: dict[Kind, Meaning] = {
    Kind.TIMEOUT: Meaning("the attempt took longer than --task-timeout allows", _AGAIN),
    Kind.STUCK: Meaning(
        "the worker gave no answer within --stuck-threshold and was killed", "stack.txt shows where it was stuck"
    ),
    Kind.FROZEN: Meaning(
        "the worker showed no sign of life and was killed", "stack.txt and processes.txt show what it did"
    ),
    Kind.WORKER_DIED: Meaning("the worker's process ended by itself, often for want of memory", _MACHINE),
    Kind.WORKER_GARBLED: Meaning("the worker sent what is no message", _MACHINE),
    Kind.SUPERVISOR_LOST: Meaning("the supervisor or the machine went down during the last attempt", _MACHINE),
    Kind.INTERRUPTED: Meaning("the operator stopped the run during the attempt", "start goes on with it"),
    Kind.BROWSER_LOST: Meaning("the browser died or froze", _MACHINE),
    Kind.PAGE_CRASHED: Meaning("the page's process crashed", _MACHINE),
    Kind.PAGE_HUNG: Meaning("the page's process stopped answering, as in an endless script", _AGAIN),
    Kind.MEMORY: Meaning("the worker's processes passed --memory-limit in the middle of the work", _MACHINE),
    Kind.NOT_FOUND: Meaning("the site has no such page (404 or 410)", "is the reference still in the inventory?"),
    Kind.FORBIDDEN: Meaning("the site does not let this account see the page (403)", "ask for access, then retry"),
    Kind.SERVER_ERROR: Meaning("the site answered with an error of its own (5xx)", "retry when the site is well"),
    Kind.HTTP_ERROR: Meaning("the site refused the request (4xx)", _AGAIN),
    Kind.RATE_LIMITED: Meaning("the site asked to be visited less often (429 or 503)", "use fewer --workers"),
    Kind.NETWORK: Meaning("the connection to the site failed", "retry when the network is well"),
    Kind.OFFLINE: Meaning("this machine had no network or no name resolution", "retry when the network is back"),
    Kind.CERTIFICATE: Meaning("the site's certificate is not accepted", "check the machine's clock, tell the site"),
    Kind.SESSION_EXPIRED: Meaning("the login page came in place of what was wanted, again and again", _AGAIN),
    Kind.LOGIN_REFUSED: Meaning("the site refused user or password", "check the credentials before you start again"),
    Kind.LOGIN_FAILED: Meaning("the login could not be carried out", _RECIPE),
    Kind.EXPORT_INVALID: Meaning("the inventory export is no inventory", _RECIPE),
    Kind.DOCUMENT_INVALID: Meaning("a document came broken, empty or as something else", "tell the site, then retry"),
    Kind.DOCUMENT_STALLED: Meaning("a download stopped half-way", _AGAIN),
    Kind.DOWNLOAD_REFUSED: Meaning("the site answered a download with an error", "tell the site, then retry"),
    Kind.DOCUMENTS_MISSING: Meaning("the page offers fewer documents than the recipe expects", _AGAIN),
    Kind.TOO_MANY_DOCUMENTS: Meaning(
        "the page offers more documents than the recipe expects", "look at screenshot and page.html, mend the recipe"
    ),
    Kind.STEP_TIMEOUT: Meaning("a step of the recipe waited in vain for the page", _AGAIN),
    Kind.RECIPE_ERROR: Meaning("the recipe itself raised an error", _RECIPE),
    Kind.PUBLISH_FAILED: Meaning("what the worker staged was not what it reported", _MACHINE),
    Kind.DISK_FULL: Meaning("the disk was full", "make room; a run goes on by itself then"),
}


def meaning(kind: str) -> Meaning:
    """Return what a kind means, as the ledger names it; a kind of a later version is known by its name alone."""
    try:
        return MEANINGS[Kind(kind)]
    except (ValueError, KeyError):
        return Meaning("a failure that this version of the program does not know", _AGAIN)
