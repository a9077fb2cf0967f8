"""Where credentials come from: the environment, or a file that only its owner can read."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from worker.masking import Mask
from worker.protocol import Kind
from worker.site import SiteFailure

_LARGEST = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Vault:
    """The secrets of one recipe; each is masked from the moment at which it is asked for."""

    def __init__(self, names: Iterable[str], mask: Mask) -> None:
        """Take the secrets called `names` out of this process's environment, which the browser would inherit."""
        self._mask = mask
        self._known: dict[str, str] = {}
        for name in names:
            if (value := os.environ.pop(name, None)) is not None:
                self._known[name] = value
                mask.add(value)

    def get(self, name: str) -> str:
        """Return the secret: the variable `name`, or what stands in the file that ``<name>_FILE`` names.

        Raises:
            SiteFailure: `LOGIN_FAILED`, there is no such secret, or its file is unreadable or open to others.
        """
        value = self._known.get(name) or os.environ.get(name) or self._from_file(name)
        self._known[name] = value
        self._mask.add(value)
        return value

    def _from_file(self, name: str) -> str:
        variable = f"{name}_FILE"
        path = os.environ.get(variable, "")
        if not path:
            raise SiteFailure(
                Kind.LOGIN_FAILED, f"the secret {name} is missing: set {name}, or name its file in {variable}"
            )
        try:
            with Path(path).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(_LARGEST).decode("utf-8-sig")
        except OSError as error:
            raise SiteFailure(
                Kind.LOGIN_FAILED, f"the file named in {variable} cannot be read: {error.strerror}"
            ) from error
        except UnicodeDecodeError as error:
            raise SiteFailure(Kind.LOGIN_FAILED, f"the file named in {variable} is not UTF-8 text") from error
        if mode & _OTHERS:
            found = f"{stat.S_IMODE(mode):04o}"
            raise SiteFailure(
                Kind.LOGIN_FAILED, f"the file named in {variable} has mode {found}: others can read it; 0600 is needed"
            )
        if not (value := content.rstrip("\r\n")):
            raise SiteFailure(Kind.LOGIN_FAILED, f"the file named in {variable} is empty")
        return value
