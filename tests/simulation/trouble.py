"""What may go wrong in a simulated night. Each kind can be left out, so that a failing night can be shrunk."""

import itertools
from enum import StrEnum
from random import Random

import msgspec

from supervisor.core.policy import Policy


class Trouble(StrEnum):
    """One kind of trouble."""

    __hash__ = str.__hash__  # Enum's own is computed in Python, and half of what happens asks for troubles

    DEATHS = "deaths"  # children die at any moment, also while being sent to and right after their answer
    FREEZES = "freezes"  # children freeze, some wake up again
    SILENCE = "silence"  # children beat but never answer
    LIES = "lies"  # answers twice, for another attempt, garbage, documents that are not there
    RECOVERY = "recovery"  # failures with ready=False, then a slow recovery or none
    MEMORY = "memory"  # trees above the memory limit
    SHORTAGE = "shortage"  # something else takes the machine's memory for a while
    SICK = "sick"  # children that fail at everything until they get a fresh browser, or die
    START = "start"  # children that come late, never, or say that they cannot
    EPIDEMIC = "epidemic"  # for a while no child can start at all
    STUBBORN = "stubborn"  # trees that refuse to die for a while
    FLAKY = "flaky"  # references that fail some times, then succeed
    BAD = "bad"  # references that never succeed
    ALIKE = "alike"  # many references that never succeed, all in the same way, as in an outage
    FORBIDDEN = "forbidden"  # references that are forbidden for good, many in a row
    POISON = "poison"  # references that take their browser or child down
    SLOW = "slow"  # references that take long
    OUTAGE = "outage"  # the site is down for everyone, for a while
    PAGES = "pages"  # for a while no page comes, though the login works
    MAINTENANCE = "maintenance"  # for a while every page is one that speaks of maintenance, with status 200
    THROTTLE = "throttle"  # the site asks for a pause
    SESSION = "session"  # sessions end in mid-run
    THEFT = "theft"  # somebody else logs in again and again, for a while
    OWN = "own"  # each worker has to log in for itself
    EXCLUSIVE = "exclusive"  # a login ends every other session of the account
    REFUSAL = "refusal"  # from some moment on the site refuses the login
    ERRANDS = "errands"  # logins and exports that come to nothing
    CRASH = "crash"  # the supervisor or the machine dies, at any step
    PAUSE = "pause"
    SCALE = "scale"
    RESTART = "restart"
    RETRY = "retry"
    STOP = "stop"  # once, or twice
    RATE = "rate"  # a limit on references a minute
    REQUESTS = "requests"  # a limit on requests a minute to the one host
    QUIET = "quiet"  # quiet hours
    SETTINGS = "settings"  # another MAX_RETRIES at each start
    DISK = "disk"  # the disk is full for a while
    STALL = "stall"  # the machine is suspended
    LEDGER = "ledger"  # commits that take seconds
    STORE = "store"  # publishing that is slow or fails
    AUTO = "auto"  # the core itself looks for the best number of workers
    INSTEAD = "instead"  # for a while the same web page comes in place of every document, though the login works


PAIRS = tuple(itertools.combinations(sorted(Trouble), 2))
_LATER = (Trouble.AUTO, Trouble.INSTEAD)


class Night(msgspec.Struct, frozen=True):
    """Everything that a night follows from."""

    seed: int
    references: int = 200
    workers: int = 4
    troubles: frozenset[Trouble] = frozenset(Trouble)

    def __str__(self) -> str:
        troubles = ",".join(sorted(self.troubles)) or "none"
        return f"--seed {self.seed} --references {self.references} --workers {self.workers} --troubles {troubles}"


def night(seed: int, references: int = 200) -> Night:
    """Return the night of a seed: a handful of troubles, sometimes all, sometimes none."""
    rng = Random(seed)  # noqa: S311 - a simulation wants to be repeatable, not secret
    share = rng.choice((0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.5, 1.0))
    troubles = frozenset(trouble for trouble in Trouble if trouble not in _LATER and rng.random() < share)
    workers = rng.randint(1, 6)
    # Drawn last, so that what is known of the nights of former seeds stays true of those without it.
    return Night(seed, references, workers, troubles | {trouble for trouble in _LATER if rng.random() < share})


def dense_night(seed: int) -> Night:
    """Return a small night in which a few troubles meet all the time: what takes two of them shows soon."""
    rng = Random(seed)  # noqa: S311 - as above
    troubles = rng.sample(sorted(Trouble), rng.randint(2, 7))
    return Night(seed, rng.choice((3, 5, 12, 25)), rng.randint(1, 5), frozenset(troubles))


def paired_night(seed: int) -> Night:
    """Return a dense night in which the pair of troubles whose turn it is meets as well."""
    one = dense_night(seed)
    return msgspec.structs.replace(one, troubles=one.troubles | frozenset(PAIRS[seed % len(PAIRS)]))


def policy(rng: Random, troubles: frozenset[Trouble]) -> Policy:
    """Return numbers that make a night short, with the proportions of the defaults."""
    return Policy(
        own_logins=Trouble.OWN in troubles,
        task_timeout=60.0,
        stuck_threshold=100.0,
        watchdog_interval=60.0,
        max_retries=rng.choice((0, 1, 2, 2, 2, 4)),
        worker_delay=rng.choice((0.0, 0.5, 1.0)),
        retry_delay=rng.choice((5.0, 5.0, 60.0)),
        retry_delay_limit=120.0,
        heartbeat_timeout=45.0,
        start_timeout=30.0,
        recover_timeout=30.0,
        errand_timeout=40.0,
        shutdown_timeout=5.0,
        recycle_after=rng.choice((0, 7, 40)),
        memory_limit=1_000_000_000,
        restart_delay_limit=30.0,
        breaker_window=120.0,
        breaker_pause_limit=120.0,
        throttle_pause_limit=900.0,
        references_per_minute=rng.choice((6, 20, 60)) if Trouble.RATE in troubles else 0,
        requests_per_minute=rng.choice((120, 400)) if Trouble.REQUESTS in troubles else 0,
        outage_limit=rng.choice((1800.0, 3600.0)),
        auto_workers=(1, 6) if Trouble.AUTO in troubles else None,
        staging_root="/staging",
    )
