"""A storm: gateways end at random moments and at named steps, while other troubles happen."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.sandbox.faults import Fault, FaultKind
from tests.crash.deployment import NAMES, Deployment
from tests.support.crashing import Crash, Point

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "0"))
"""How many ends `make chaos` wants; 0: this is not `make chaos`, but the short form."""
SEED = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000) if ROUNDS else 1)))
"""The same in every short run, another one in every long one."""
BURST = 10
"""Ends between which nobody waits until everything is settled."""
CLIENTS = 6
MOST_ASKED = 5
"""How often clients ask at the end for what they do not know yet. Twice is enough: an answer, and with a new key."""


class Breakable(Protocol):
    """Something that can be made to fail."""

    def fail(self) -> None:
        """Let it fail from now on."""

    def mend(self) -> None:
        """Let it work again."""


@dataclass
class Tally:
    """What happened: how many ends and troubles of which kind, and how many seconds it took until all was settled."""

    ends: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    settled: list[float] = field(default_factory=list)


class Later:
    """Something that is done after a while, or at once where nobody wants to wait."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it after so many seconds."""
        self._action = action
        self._timer = threading.Timer(seconds, action)
        self._timer.start()

    def now(self) -> None:
        """Do it now, perhaps once more."""
        self._timer.cancel()
        self._timer.join()
        self._action()


class Storm:
    """Ends of gateways while clients are at work.

    With `storage`, which can be made to fail, there are other troubles too.
    """

    def __init__(self, deployment: Deployment, storage: Breakable | None = None) -> None:
        """Rage in a deployment whose gateways are started."""
        self._deployment = deployment
        self._chance = deployment.chance
        self._storage = storage
        self._later: list[Later] = []
        self.tally = Tally()

    def rage(self, ends: int) -> None:
        """Have so many ends, in bursts, and everything settled after each; then let clients ask for what is left."""
        left = ends
        while left > 0:
            burst = min(BURST, left) if self._storage else left
            with self._deployment.clients(CLIENTS):
                for _ in range(burst):
                    self._make_trouble()
                    self._end_one()
            self._calm_down()
            self.tally.settled.append(self._deployment.settle())
            left -= burst
        self._deployment.renew()
        for _ in range(MOST_ASKED):
            if not self._deployment.ask_again():
                return
            self._deployment.settle()
        raise AssertionError(
            f"nobody can tell: {[each for each in self._deployment.wanted_actions if each.may_be_asked_again]}"
        )

    def _end_one(self) -> None:
        """Have a gateway end at any moment, or at the step that it was told, and start another in its place."""
        chance, deployment = self._chance, self._deployment
        position = chance.randrange(len(deployment.fleet))
        time.sleep(chance.uniform(0.02, 0.5))
        self.tally.ends["at a random moment" if deployment.fleet[position].is_alive else "at a step"] += 1
        deployment.fleet[position].kill()
        time.sleep(chance.choice((0, 0, 0.2)))
        crash = Crash(chance.choice([*Point]), on=chance.randint(1, 30)) if chance.random() < 0.5 else None
        deployment.restart(position, crash)

    def _make_trouble(self) -> None:
        """Have something else go wrong, or nothing."""
        if self._storage is None:
            return
        kinds = (self._vendor_fails, self._a_gateway_stands_still, self._ledger_fails, lambda _: None)
        self._chance.choices(kinds, weights=(5, 2, 1, 4))[0](self._storage)

    def _vendor_fails(self, _: Breakable) -> None:
        vendor, kind = self._chance.choice([*NAMES]), self._chance.choice([*FaultKind])
        fault = Fault(kind, times=self._chance.randint(1, 4), seconds=self._chance.choice((0.3, 3.0)))
        self._deployment.sandbox.vendor(vendor).script(fault)
        self.tally.troubles[f"the vendor: {kind}"] += 1

    def _a_gateway_stands_still(self, _: Breakable) -> None:
        """For a moment; or for so long that others take over what it was working on."""
        gateway, is_long = self._chance.choice(self._deployment.fleet), self._chance.random() < 0.3
        gateway.pause()
        self._later.append(Later(9.0 if is_long else self._chance.uniform(0.1, 1.5), gateway.go_on))
        self.tally.troubles["a gateway stands still" + (" for 9 s" if is_long else "")] += 1

    def _ledger_fails(self, storage: Breakable) -> None:
        storage.fail()
        self._later.append(Later(self._chance.uniform(0.2, 1.5), storage.mend))
        self.tally.troubles["the ledger's database fails"] += 1

    def _calm_down(self) -> None:
        """End all troubles."""
        for each in self._later:
            each.now()
        self._later = []
        for vendor in NAMES:
            self._deployment.sandbox.vendor(vendor).clear_faults()
