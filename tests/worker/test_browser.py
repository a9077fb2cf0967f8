"""What the browser is started with."""

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
