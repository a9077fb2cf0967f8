"""What the browser is started with."""

from worker.browser import _arguments


def test_one_feature_is_disabled_beside_all_of_playwrights_own() -> None:
    """Only the last list counts for Chromium, so ours has to repeat theirs; without ours closing a page may hang."""
    (argument,) = _arguments()
    features = argument.removeprefix("--disable-features=").split(",")
    assert features[-1] == "RenderDocument"
    assert {"MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"} <= set(features)
