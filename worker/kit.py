"""What every visit of a worker shares."""

import msgspec

from worker.browser import Browser
from worker.masking import Mask
from worker.site import Site
from worker.vault import Vault


class Kit(msgspec.Struct, frozen=True):
    """The worker's browser, the recipe, and what keeps secrets where they belong."""

    browser: Browser
    site: Site
    vault: Vault
    mask: Mask
    document_limit: int
    """In bytes."""
