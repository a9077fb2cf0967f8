"""Posts one summary to a webhook: a process of its own, with the standard library alone, that can be killed.

Standard input has the address in its first line and the JSON body after it; the argument is the time-out in seconds.
Says the status on standard output and ends with 0 for 2xx, else with 1. Never says the address: it may hold a token.
"""

import sys
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from typing import IO


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body, so a redirect is an answer like any other."""

    def redirect_request(  # noqa: PLR0917 - the base class's signature
        self,
        req: urllib.request.Request,  # noqa: ARG002 - the base class's signature
        fp: IO[bytes],  # noqa: ARG002 - as above
        code: int,  # noqa: ARG002 - as above
        msg: str,  # noqa: ARG002 - as above
        headers: Message,  # noqa: ARG002 - as above
        newurl: str,  # noqa: ARG002 - as above
    ) -> None:
        return None


def main() -> int:
    """Post, and return the exit code."""
    address = sys.stdin.buffer.readline().decode().strip()
    headers = {"Content-Type": "application/json", "User-Agent": "nightfleet"}
    try:
        request = urllib.request.Request(address, sys.stdin.buffer.read(), headers, method="POST")  # noqa: S310 - checked with the settings
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=float(sys.argv[1])) as answer:
            print(f"the webhook answered {answer.status}")  # noqa: T201 - read by who started us
    except urllib.error.HTTPError as error:
        print(f"the webhook answered {error.code}")  # noqa: T201 - as above
        return 1
    except urllib.error.URLError as error:
        why = getattr(error.reason, "strerror", None) or type(error.reason).__name__
        print(f"the webhook cannot be reached: {why}")  # noqa: T201 - as above
        return 1
    except (OSError, HTTPException, ValueError) as error:
        print(f"the webhook cannot be reached: {type(error).__name__}")  # noqa: T201 - as above; its text may quote the address
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
