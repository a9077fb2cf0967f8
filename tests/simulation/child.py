"""One simulated child: what it is, not what it does."""

from worker.protocol import Kind


class Child:
    """One incarnation. Its tree may outlive its Python process, and it may go on speaking when it is condemned."""

    __slots__ = (
        "attempt",
        "blame",
        "condemned",
        "doom",
        "errand",
        "frozen",
        "heard_at",
        "incarnation",
        "process",
        "ref",
        "session",
        "sick",
        "slot",
        "tasks",
        "tree",
        "weighed",
    )

    def __init__(self, slot: int, incarnation: int, now: float) -> None:
        self.slot = slot
        self.incarnation = incarnation
        self.process = True
        self.tree = True
        self.frozen = False
        self.condemned = False
        self.blame = False
        self.doom: set[Kind] = set()
        self.attempt = 0
        self.errand = 0
        self.ref = ""
        self.session = b""
        self.tasks = 0
        self.heard_at = now
        self.weighed = False
        self.sick = ""
        """What it lacks: a fresh ``browser``, a fresh ``process``, or nothing."""

    @property
    def well(self) -> bool:
        """It can speak."""
        return self.process and self.tree and not self.frozen

    def __repr__(self) -> str:
        return f"worker {self.slot}.{self.incarnation}"
