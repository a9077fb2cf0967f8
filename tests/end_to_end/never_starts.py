"""A recipe that ends every worker at once, but lets itself be looked at before the run."""

import multiprocessing
import os

from worker.sites.demo.recipe import Demo

if multiprocessing.parent_process() is not None:
    os._exit(9)


class NeverStarts(Demo):
    """Never reached by a worker."""
