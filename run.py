#!/usr/bin/env -S uv run
"""Start here: ``python run.py --help``."""

import sys

from supervisor import bytecode

bytecode.keep()  # by every process that imports this file, as the children of multiprocessing do before all else

if __name__ == "__main__":
    from supervisor.cli import main

    sys.exit(main())
