"""Where the links of several devices meet on wires that they share: who goes first.

Hierarchical: a load starts when its own device's wire *and* every shared wire on its way are free,
and is committed to all of them at once, so that it is known then when it arrives. Turns go by
deficit round robin (Shreedhar & Varghese, 1996) with an account for each shared wire: a device's
turn is as long as it has flows that wait, so that flows are served alike wherever they come from.
`Junction` is arithmetic with `now` passed in; `SharedLinks` drives it by a timer.
"""

import math
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from netem.link import Link, Load, Transit
from netem.shared import SharedWire
from netem.timer import Timer

L = TypeVar("L", bound=Load)


class Committed(NamedTuple, Generic[L]):
    """A load of one member is on its way."""

    member: Link[L]
    transit: Transit[L]


class Junction(Generic[L]):
    """One direction of all devices of which some share a wire.

    Laws: two loads never overlap on a wire, shared or not; a shared wire is idle only while no
    load could start that crosses it and finds its other wires free; flows that wait get alike.
    """

    def __init__(self) -> None:
        self._own_s: dict[Link[L], float] = {}
        """Those with something to send, in turn, and when each could start it by itself."""
        self._credit_bytes: dict[tuple[Link[L], SharedWire], float] = {}
        self._turn_bytes: dict[SharedWire, float] = {}
        """The largest quantum of those that cross a wire."""
        self._next_s = math.inf

    def add(self, member: Link[L]) -> None:
        """What it shares is its route."""
        for wire in member.route:
            self._credit_bytes[member, wire] = 0.0
            turn_bytes = max(member.quantum_bytes, self._turn_bytes.get(wire, 0.0))
            self._turn_bytes[wire] = turn_bytes

    def changed(self, member: Link[L]) -> None:
        """It has more to send, or less. Bring the junction up to `now` before."""
        own_s = member.own_start()
        if own_s < math.inf:
            self._own_s[member] = own_s
            self._next_s = min(self._next_s, member.next_start())
        else:
            self._own_s.pop(member, None)

    def next_start(self) -> float:
        """Not later than the next load of anybody will start; `inf` if none is going to."""
        return self._next_s

    def advance(self, now_s: float) -> list[Committed[L]]:
        """Commit, in order, everything that starts no later than `now_s` (which is finite)."""
        committed: list[Committed[L]] = []
        while self._next_s <= now_s:
            start_s, ready = self._first()
            self._next_s = start_s
            if start_s > now_s:
                break
            member = self._choose(ready)
            if member.next_start() <= start_s:  # unless it has been held back since
                transit = member.commit(start_s)
                if transit is not None:
                    for wire in member.route:
                        self._credit_bytes[member, wire] -= transit.load.wire_bytes
                    committed.append(Committed(member, transit))
            del self._own_s[member]
            self.changed(member)
        return committed

    def _first(self) -> tuple[float, list[Link[L]]]:
        """When the next load may start, and whose it may be: the hottest loop of a fleet."""
        first_s, ready = math.inf, []
        for member, start_s in self._own_s.items():
            for wire in member.route:
                if wire.free_s > start_s:
                    start_s = wire.free_s
            if start_s < first_s:
                first_s, ready = start_s, [member]
            elif start_s == first_s < math.inf:
                ready.append(member)
        return first_s, ready

    def _choose(self, ready: Sequence[Link[L]]) -> Link[L]:
        """Who has most credit left, in turns, on the shared wire where it has least."""
        shares = {m: m.waiting_flows or 1 for m in ready}
        wires = ready[0].route if len(ready) == 1 else _crossed(ready)
        for wire in wires:
            crossing = [m for m in ready if wire in m.route]
            best = max(self._turns_left(m, wire, shares[m]) for m in crossing)
            if best <= 0 and (best <= -1 or not self._somebody_has_credit(wire)):
                self._new_rounds(wire, 1 if best <= -1 else math.floor(-best) + 1)
        if len(ready) == 1:
            return ready[0]
        return max(
            ready,
            key=lambda m: min((self._turns_left(m, w, shares[m]) for w in m.route), default=1.0),
        )

    def _turns_left(self, member: Link[L], wire: SharedWire, share: int) -> float:
        return self._credit_bytes[member, wire] / (self._turn_bytes[wire] * share)

    def _somebody_has_credit(self, wire: SharedWire) -> bool:
        """Of those that wait, if only for their own wire: whoever is slower by itself goes first
        when it can, and the others, on credit, only meanwhile."""
        credit = self._credit_bytes
        crossing = (m for m in self._own_s if wire in m.route)
        return any(credit[m, wire] > 0 and m.waiting_flows for m in crossing)

    def _new_rounds(self, wire: SharedWire, rounds: int) -> None:
        """A turn for each flow that waits; what is left unused is not saved up."""
        for member in self._own_s:
            if wire in member.route:
                share = self._turn_bytes[wire] * max(1, member.waiting_flows)
                credit = self._credit_bytes[member, wire] + rounds * share
                self._credit_bytes[member, wire] = min(credit, share)


def _crossed(members: Sequence[Link[L]]) -> Sequence[SharedWire]:
    """Each wire once, in the order in which it is met."""
    return tuple({wire: None for member in members for wire in member.route})


class SharedLinks(Generic[L]):
    """One direction of a fleet with shared links, driven by a timer. All its devices are played
    by one event loop: whoever wakes commits for everybody."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._junction: Junction[L] = Junction()
        self._receivers: dict[Link[L], Callable[[list[Transit[L]]], None]] = {}
        self._patience_s = math.inf
        self._alarm = timer.alarm(self._wake)

    def add(self, member: Link[L], receive: Callable[[list[Transit[L]]], None]) -> None:
        """`receive` gets what the member has committed, in order, whoever woke for it."""
        self._junction.add(member)
        self._receivers[member] = receive
        # Committing may wait as long as nothing can be due by then, as in a pipe of its own.
        parameters = member.parameters
        self._patience_s = min(self._patience_s, parameters.delay_s, parameters.quantum_s)

    def catch_up(self) -> None:
        transits: dict[Link[L], list[Transit[L]]] = {}
        for member, transit in self._junction.advance(self._timer.now()):
            transits.setdefault(member, []).append(transit)
        for member, its in transits.items():
            self._receivers[member](its)

    def changed(self, member: Link[L]) -> None:
        """It has more to send, or less. Catch up before."""
        self._junction.changed(member)
        self.catch_up()
        self._alarm.arm(self._junction.next_start() + self._patience_s)

    def _wake(self) -> None:
        self.catch_up()
        self._alarm.arm(self._junction.next_start() + self._patience_s)


class Crossing(NamedTuple, Generic[L]):
    """The shared wires that one direction of a device crosses, and where they meet."""

    links: SharedLinks[L]
    wires: tuple[SharedWire, ...]
