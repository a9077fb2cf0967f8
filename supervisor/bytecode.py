"""Where Python keeps what it compiled, so that not every process of a run compiles it again.

Where ``PYTHONDONTWRITEBYTECODE`` is set, as in many container images, each worker would compile Playwright anew: half
of the processor time of its start. What people want by that variable are folders of sources without caches in them. So
the cache goes into the program's own virtual environment.
"""

import os
import sys
from pathlib import Path

_SWITCH = "PYTHONDONTWRITEBYTECODE"
_PLACE = "PYTHONPYCACHEPREFIX"


def keep() -> None:
    """Have this process, and all that it starts, keep bytecode in the virtual environment where they keep none.

    A process without a virtual environment stays as it is, and one whose caches have a place of somebody's choice.
    """
    place = str(Path(sys.prefix) / "bytecode")
    if not sys.dont_write_bytecode or sys.prefix == sys.base_prefix or sys.pycache_prefix not in {None, place}:
        return
    # A child of multiprocessing inherits the environment, and beside it the former wish as an option: see run.py.
    sys.dont_write_bytecode, sys.pycache_prefix = False, place
    os.environ[_PLACE] = place
    os.environ.pop(_SWITCH, None)
