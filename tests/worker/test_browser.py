"""What the browser is started with."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.worker.child import Child
from worker.browser import _arguments


def test_one_feature_is_disabled_beside_all_of_playwrights_own() -> None:
    """Only the last list counts for Chromium, so ours has to repeat theirs; without ours closing a page may hang."""
    (argument,) = _arguments(images=True)
    features = argument.removeprefix("--disable-features=").split(",")
    assert features[-1] == "RenderDocument"
    assert {"MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"} <= set(features)


def test_images_are_left_out_beside_playwrights_own_settings_of_blink() -> None:
    """Again only the last one counts."""
    *_, argument = _arguments(images=False)
    assert argument.startswith("--blink-settings=primaryHoverType=2,")
    assert argument.endswith(",imagesEnabled=false")


@pytest.mark.browser
def test_a_browser_leaves_dev_shm_alone_and_dumps_no_core(start: Callable[..., Child]) -> None:
    """So its size, which is 64 MB in a container, matters to nobody, and the supervisor does not watch it.

    The flag is Playwright's own; should it be gone one day, or mean something else, this is where it shows.
    """
    child = start()
    child.ready()
    child.log_in()
    main = psutil.Process(child.launched(1).pid)
    assert "--disable-dev-shm-usage" in main.cmdline()
    family = [main, *main.children(recursive=True)]
    assert len(family) > 2, "there are renderers and services"
    for process in family:
        proc = Path(f"/proc/{process.pid}")
        assert "/dev/shm/" not in (proc / "maps").read_text()  # noqa: S108 - its absence is what is asserted
        assert "Max core file size        0 " in (proc / "limits").read_text()
