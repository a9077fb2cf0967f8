"""What comes of an errand in the simulated world: logins, exports, proofs of the session, controls."""

from typing import TYPE_CHECKING

from tests.simulation.child import Child
from tests.simulation.oracle import demand
from tests.simulation.trouble import Trouble
from worker.protocol import ErrandFailed, InventoryExported, Kind, LoggedIn, Revisit, Served, SessionProven

if TYPE_CHECKING:
    from tests.simulation.children import Children

Answer = LoggedIn | InventoryExported | SessionProven | Served | ErrandFailed
"""What a child says when its errand has come to an end."""


class Errands:
    """Decides what a child meets on its errand."""

    def __init__(self, children: "Children") -> None:
        self.children = children
        self.world = children.world
        self.rng = children.rng

    def begin(self, child: Child, errand: int, *, login: bool) -> None:
        """Log in, or export the inventory."""
        world, rng, site = self.world, self.rng, self.world.site
        busy = [other for other in self.children.here.values() if other.errand]
        demand(not busy, "{} goes on an errand while {} is on one", child, busy)
        demand(
            login or child.session == world.best_sessions[world.key(child.slot)], "{} exports without session", child
        )
        child.errand = errand
        after = rng.uniform(1.0, 5.0)
        window = site.trouble(world.now)
        if login and world.now >= site.refuses_from:
            world.later(after, self._refused, child, errand)
        elif window is not None and not (window.login and login):
            kind = rng.choice(window.kinds)
            if kind is Kind.SESSION_EXPIRED and login:
                kind = Kind.LOGIN_FAILED
            self.children.expiries += kind is Kind.SESSION_EXPIRED
            failure = ErrandFailed(errand, kind, "down", ready=True, retry_after=window.retry_after)
            world.later(after, self._errand_failed, child, failure)
        elif world.now < site.errands_fail_until and rng.random() < 0.5:
            how = rng.random()
            if how < 0.2:
                world.later(after, self.children.die, child, -11)
                world.last_errand_failure = world.now
            elif how < 0.4:
                child.blame = True
                world.last_errand_failure = world.now
            else:
                kinds = (Kind.LOGIN_FAILED, Kind.RECIPE_ERROR, Kind.TIMEOUT, Kind.SESSION_EXPIRED, Kind.EXPORT_INVALID)
                failure = ErrandFailed(errand, rng.choice(kinds), "no luck", ready=rng.random() < 0.5)
                world.later(after, self._errand_failed, child, failure)
        elif login:
            world.later(after, self._logged_in, child, errand)
        else:
            world.later(
                after, self.children.speak, child, InventoryExported(errand, "inventory.csv", "Stock", ",", "utf-8")
            )

    def _logged_in(self, child: Child, errand: int) -> None:
        if child.well:
            child.session = self.world.log_in(child.slot, condemned=child.condemned)
            self.children.speak(child, LoggedIn(errand, child.session))
            if self.world.now < self.world.thefts_until:
                self.world.later(self.rng.uniform(0, 3), self.world.end_session)

    def prove(self, child: Child, errand: int) -> None:
        """Look whether the session is alive."""
        demand(not child.attempt, "{} is to prove its session with an attempt in its hands", child)
        child.errand = errand
        window = self.world.site.trouble(self.world.now)
        if window is not None:
            kind = self.rng.choice(window.kinds)
            failure = ErrandFailed(errand, kind, "down", ready=True, retry_after=window.retry_after)
            self.world.later(1.0, self._errand_failed, child, failure)
        elif self.children.has(Trouble.DEATHS) and self.rng.random() < 0.1:
            self.world.later(1.0, self.children.die, child, -11)
        else:
            self.world.later(self.rng.uniform(0.3, 3.0), self._looked, child, SessionProven(errand))

    def _looked(self, child: Child, answer: SessionProven | Served) -> None:
        """What the child came for is there, if it is logged in."""
        if self.children.is_logged_in(child):
            self.children.speak(child, answer)
        else:
            failure = ErrandFailed(answer.errand, Kind.SESSION_EXPIRED, "the login page", ready=True)
            self._errand_failed(child, failure)

    def revisit(self, child: Child, message: Revisit) -> None:
        """Fetch what was fetched before, as a control."""
        world, rng, errand = self.world, self.rng, message.errand
        busy = [other for other in self.children.here.values() if other.errand]
        demand(not busy, "{} tries a control while {} is on an errand", child, busy)
        demand(not child.attempt, "{} is to try a control with an attempt in its hands", child)
        row = world.ledger.rows[int(message.ref[1:])]  # of which a doubt may have come while the order was on its way
        demand(row.state == "completed" or row.ref_id in world.inspector.recalled, "{} was never completed", message)
        demand(child.session == world.best_sessions[world.key(child.slot)], "{} tries a control without session", child)
        child.errand = errand
        self.children.controls_tried += 1
        window = world.site.trouble(world.now)
        after = world.site.truths[message.ref].seconds
        if child.sick:
            world.later(after, self._errand_failed, child, ErrandFailed(errand, Kind.PAGE_HUNG, "sick", ready=False))
        elif window is not None:
            kind = rng.choice(window.kinds)
            failure = ErrandFailed(
                errand, kind, "down", ready=True, retry_after=window.retry_after, instead=window.instead
            )
            world.later(after, self._errand_failed, child, failure)
        elif self.children.has(Trouble.DEATHS) and rng.random() < 0.1:
            world.later(after, self.children.die, child, -11)
        else:
            world.later(after, self._looked, child, Served(errand))

    def _refused(self, child: Child, errand: int) -> None:
        if child.well and not child.condemned:
            self.children.refusals += 1
        self.children.speak(child, ErrandFailed(errand, Kind.LOGIN_REFUSED, "wrong password", ready=True))

    def _errand_failed(self, child: Child, failure: ErrandFailed) -> None:
        self.world.last_errand_failure = self.world.now
        if failure.kind in {Kind.RECIPE_ERROR, Kind.EXPORT_INVALID}:
            self.world.recipe_failed = True
        if failure.kind is Kind.SESSION_EXPIRED:
            self.children.expiries += 1
        self.children.speak(child, failure)
        if not failure.ready:
            self.children.recover(child)
