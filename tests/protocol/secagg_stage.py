"""A client at any step of any of the four kinds of secure sum, and wrong messages to it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from protocol.messages import Delivery, Roster, Signatures, Survivors
from protocol.secagg.guarded_rehearsal import GuardedRehearsal
from protocol.secagg.keys import Sum
from tests.protocol.secagg_fleets import IDS, SUM, fleet

ME, LOST = 11, 7
"""In the sum where clients choose, 11 has holders that hold its shares only (2, 13), owners whose
shares it holds only (3, 5, 7), and both in one (17, 19)."""
SHARER, SILENT, STRANGER = 17, 13, 23
WORDS = 16
STEPS = ("advertise", "receive_roster", "share", "receive_delivery", "mask", "sign", "unmask")
THEIRS = {"receive_roster", "receive_delivery", "sign", "unmask"}


def steps_of(variant: str) -> list[str]:
    return [step for step in STEPS if step != "sign" or variant.endswith("active")]


class Stage:
    """The fleet, with this client having done so many steps and the others about as many. `good`
    has the message for each step that takes one, as soon as there is one."""

    def __init__(self, variant: str, done: int, sum_: Sum = SUM, seed: int = 0) -> None:
        self.variant = variant
        self.fleet = fleet(variant, seed, sum_=sum_)
        self.active = isinstance(self.fleet, GuardedRehearsal)
        self.me: Any = self.fleet.parties[ME]
        place = (SUM.round, SUM.attempt)
        self.good: dict[str, Any] = {
            "receive_roster": Roster(*place, {}),
            "receive_delivery": Delivery(*place, {}),
            "sign": Survivors(*place, IDS),
            "unmask": Signatures(*place, {}) if self.active else Survivors(*place, IDS),
        }
        for step in steps_of(variant)[:done]:
            getattr(self, f"_{step}")()

    def do(self, step: str, message: object = None) -> object:
        """This client's step, with the good message for it or another one."""
        if step in THEIRS:
            return getattr(self.me, step)(self.good[step] if message is None else message)
        if step == "share":
            return self.me.share(b"")
        if step == "mask":
            masked = self.fleet.clients[ME]._masked_words
            return self.me.mask(np.zeros(WORDS, "<u4"), masked)
        return self.me.advertise()

    def _others(self) -> Iterator[tuple[int, Any]]:
        return ((c, party) for c, party in self.fleet.parties.items() if c != ME)

    def _advertise(self) -> None:
        for client, party in self.fleet.parties.items():
            self.fleet.front.receive_keys(client, party.advertise())
        self.fleet.front.close_keys()
        self.good["receive_roster"] = self.fleet.front.roster_for(ME)

    def _receive_roster(self) -> None:
        for client, party in self.fleet.parties.items():
            party.receive_roster(self.fleet.front.roster_for(client))

    def _share(self) -> None:
        for client, party in self.fleet.parties.items():
            self.fleet.server.receive_shares(client, party.share(b""))
        self.fleet.server.close_shares()
        self.good["receive_delivery"] = self.fleet.server.delivery_for(ME)

    def _receive_delivery(self) -> None:
        for client, party in self.fleet.parties.items():
            party.receive_delivery(self.fleet.server.delivery_for(client))

    def _mask(self) -> None:
        for client, party in self.fleet.parties.items():
            party.mask(np.zeros(WORDS, "<u4"), 0)
            if client != LOST:
                self.fleet.server.vector_added(client)
        self.fleet.server.close_vectors()
        self.good["sign" if self.active else "unmask"] = self.fleet.server.survivors_for(ME)

    def _sign(self) -> None:
        assert isinstance(self.fleet, GuardedRehearsal)
        for client, party in self.fleet.guarded.items():
            if client != LOST:
                survivors = self.fleet.server.survivors_for(client)
                self.fleet.take_word(client, party.sign(survivors))
        self.fleet.guard.close_consistency()
        self.good["unmask"] = self.fleet.guard.signatures_for(ME)

    def _unmask(self) -> None:
        self.do("unmask")


def refused(stage: Stage, error: type[Exception], action: Callable[[], object]) -> str:
    """The action must raise `error` in one line and leave guard and machine as they were."""
    parts = [stage.me, stage.fleet.clients[ME]]
    before = [dict(vars(part)) for part in parts]
    with pytest.raises(error) as refusal:
        action()
    assert [dict(vars(part)) for part in parts] == before
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def without(mapping: Any, *clients: int) -> Any:  # noqa: ANN401
    return {client: value for client, value in mapping.items() if client not in clients}


def of_another_sum(step: str) -> dict[str, Callable[[Stage], object]]:
    """The good message of other sums among the same clients, with this sum's name on it."""

    def replayed(sum_: Sum) -> Callable[[Stage], object]:
        def row(stage: Stage) -> object:
            steps = steps_of(stage.variant)
            there = Stage(stage.variant, 0, sum_)
            for earlier in steps[: steps.index(step)]:
                there.good.update(sign=None)
                getattr(there, f"_{earlier}")()
            return replace(there.good[step], round=SUM.round, attempt=SUM.attempt)

        return row

    return {
        "replayed from another session": replayed(Sum(b"another-session-", 7, 2)),
        "replayed from another round": replayed(Sum(SUM.session, 6, 2)),
        "replayed from another attempt": replayed(Sum(SUM.session, 7, 1)),
    }


def named_otherwise(step: str) -> dict[str, Callable[[Stage], object]]:
    return {
        "wrong round": lambda s: replace(s.good[step], round=6),
        "wrong attempt": lambda s: replace(s.good[step], attempt=3),
    }


def sealed(stage: Stage, sender: int, data: bytes) -> Delivery:
    delivery: Delivery = stage.good["receive_delivery"]
    return replace(delivery, sealed={**delivery.sealed, sender: data})


def listed(stage: Stage) -> Survivors:
    found: Survivors = stage.good["sign" if stage.active else "unmask"]
    return found
