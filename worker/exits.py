"""The exit codes by which a worker tells its supervisor why it ended; the sentence is the last line of its log."""

from enum import IntEnum


class Exit(IntEnum):
    """Numbers from 64 on follow BSD's sysexits.h where it has a fitting one."""

    CLEAN = 0
    RECIPE = 64
    """The recipe cannot be loaded."""
    BROWSER = 69
    """Playwright or the browser does not start."""
    UNRECOVERABLE = 70
    """No rung of the ladder brought a working page back."""
    DRIVER_LOST = 71
    """Playwright's driver died; it cannot be started again in the same process."""
    SUPERVISOR_LOST = 72
    """The supervisor is gone."""
    SUPERVISOR_DEAF = 73
    """The supervisor has not read from the pipe for too long."""
    PROTOCOL = 76
    """Bytes came that are not the protocol."""


SAID = {
    Exit.RECIPE: "its recipe cannot be loaded",
    Exit.BROWSER: "its browser does not start",
    Exit.UNRECOVERABLE: "nothing brought a working page back",
    Exit.DRIVER_LOST: "its driver died",
    Exit.SUPERVISOR_DEAF: "nobody read what it said",
    Exit.PROTOCOL: "it was sent what is no message",
}
"""What each means, for the supervisor's log and for whoever reads it."""
