"""What a person did or what their machine lacks, told in one sentence with an exit code; never with a traceback."""

from enum import IntEnum


class Exit(IntEnum):
    """The documented exit codes of every command."""

    COMPLETED = 0  # every reference completed, or the command did what it was asked
    SOME_FAILED = 1  # finished, some references failed for good; or a check found something wrong
    USAGE = 2  # wrong usage, settings or recipe
    STOPPED = 3  # stopped before the end; the same command goes on
    LOGIN_REFUSED = 4  # the site refused the login
    MACHINE = 5  # the machine cannot do it: no browser, disk full, run directory in use, or an error of the program


class UserError(Exception):
    """One clear sentence for the terminal, and the exit code that goes with it."""

    exit_code: int = Exit.USAGE


class MachineError(UserError):
    """The machine cannot do what was asked."""

    exit_code: int = Exit.MACHINE
