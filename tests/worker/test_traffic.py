"""Requests are counted by host."""

from worker.traffic import Traffic


def test_requests_are_counted_by_host_until_they_are_taken() -> None:
    """Ports and paths make no difference; what asks no host is no request; taking begins anew."""
    traffic = Traffic(counting=True)
    for url in (
        "https://lot.example/a?b=c",
        "http://LOT.example:8080/b",
        "https://cdn.example/x.js",
        "data:text/html,x",
        "blob:https://lot.example/1",
        "about:blank",
        "http://[bad/",
    ):
        traffic.count(url)
    assert traffic.take() == {"lot.example": 2, "cdn.example": 1}
    assert traffic.take() == {}


def test_a_report_names_the_busiest_hosts() -> None:
    """It stays small whatever the page asks."""
    traffic = Traffic(counting=True)
    for number in range(1000):
        traffic.count(f"https://host{number}.example/")
    for _ in range(5):
        traffic.count("https://busy.example/")
    report = traffic.take()
    assert len(report) == 64
    assert report["busy.example"] == 5


def test_without_a_limit_nothing_is_counted() -> None:
    """It costs nothing where nobody asks for it."""
    traffic = Traffic(counting=False)
    traffic.count("https://lot.example/")
    assert traffic.take() == {}
