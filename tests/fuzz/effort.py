"""How hard the fuzzers try: the same few examples in every ordinary run, as many new ones as one wants otherwise."""

import os

from hypothesis import HealthCheck, settings

_WANTED = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def effort(ordinary: int) -> settings:
    """Return the settings of a test that makes so many examples in the ordinary run."""
    return settings(
        max_examples=_WANTED or ordinary,
        derandomize=not _WANTED,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
