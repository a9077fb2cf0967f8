#!/usr/bin/env -S uv run
"""Start here: ``python run.py --help``."""

import sys

if __name__ == "__main__":
    from supervisor.cli import main

    sys.exit(main())
