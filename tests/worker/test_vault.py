"""Where credentials may come from, and that they do not travel on."""

import os
from pathlib import Path

import pytest

from worker.masking import Mask
from worker.protocol import Kind
from worker.site import SiteFailure
from worker.vault import Vault


def test_a_secret_leaves_the_environment_and_is_masked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser inherits the environment, and whoever reads its memory map does too."""
    monkeypatch.setenv("LOT_PASSWORD", "from-environment")
    mask = Mask()
    vault = Vault(["LOT_PASSWORD"], mask)
    assert "LOT_PASSWORD" not in os.environ
    assert mask("it is from-environment") == "it is ***"
    assert vault.get("LOT_PASSWORD") == "from-environment"


def test_a_secret_may_come_from_a_file_of_its_owners(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The line's end is not part of it; it is masked from the moment at which it is known."""
    path = tmp_path / "password"
    path.write_text("from-file\n", "utf-8")
    path.chmod(0o600)
    monkeypatch.setenv("LOT_PASSWORD_FILE", str(path))
    mask = Mask()
    assert Vault([], mask).get("LOT_PASSWORD") == "from-file"
    assert mask("it is from-file") == "it is ***"


@pytest.mark.parametrize(
    ("mode", "content", "said"), [(0o640, b"x", "0640"), (0o600, b"", "empty"), (0o600, b"\xff\xfe\xfa", "UTF-8")]
)
def test_a_file_that_others_can_read_or_that_holds_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, content: bytes, *, said: str
) -> None:
    """With what was found and never with what is in it."""
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(mode)
    monkeypatch.setenv("LOT_PASSWORD_FILE", str(path))
    with pytest.raises(SiteFailure, match=said) as caught:
        Vault([], Mask()).get("LOT_PASSWORD")
    assert caught.value.kind is Kind.LOGIN_FAILED


def test_a_missing_secret_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both variables that would do are named."""
    monkeypatch.delenv("LOT_PASSWORD_FILE", raising=False)
    with pytest.raises(SiteFailure, match="set LOT_PASSWORD, or name its file in LOT_PASSWORD_FILE"):
        Vault([], Mask()).get("LOT_PASSWORD")
