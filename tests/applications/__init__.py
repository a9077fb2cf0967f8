"""Applications that nobody here wrote, on loopback with data of the test's own, each driven by a TOML recipe."""
