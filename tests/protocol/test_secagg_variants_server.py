"""Every illegal arrival at the coordinator, in all four kinds of secure sum and in each phase. A
refusal changes nothing, so one client's bad message costs the others nothing."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.messages import Attestations, Consistency, PublicKeys, SealedShares, Unmask
from protocol.secagg.guarded_rehearsal import GuardedRehearsal
from protocol.sizes import SEALED_BYTES
from tests.protocol.secagg_fleets import IDS, VARIANTS, fleet

LATE, LOST = 11, 7
"""In each phase all have sent but one, who now does; another one never sends its vector."""
STRANGER = 23
PHASES = ("keys", "shares", "vector", "word", "unmask", "done")


def phases_of(variant: str) -> list[str]:
    return [phase for phase in PHASES if phase != "word" or variant.endswith("active")]


class Arrivals:
    """The coordinator's side, brought into a phase; `good` holds the late client's message for
    each phase up to this one, and one of the right kind for those that are yet to come."""

    def __init__(self, variant: str, phase: str) -> None:
        self.fleet = fleet(variant)
        self.active = isinstance(self.fleet, GuardedRehearsal)
        shares = dict.fromkeys(IDS, bytes(32))
        self.good: dict[str, Any] = {
            "keys": PublicKeys(7, 2, bytes(32), b"x" * 32),
            "shares": SealedShares(7, 2, dict.fromkeys(IDS, bytes(SEALED_BYTES))),
            "vector": None,
            "word": Attestations(7, 2, dict.fromkeys(IDS, bytes(64)))
            if variant == "secagg+ active"
            else Consistency(7, 2, bytes(64)),
            "unmask": Unmask(7, 2, {}, shares),
        }
        for earlier in phases_of(variant):
            if earlier == phase == "done":
                return
            self._collect(earlier)
            if earlier == phase:
                return
            self.arrive(earlier)
            self.close(earlier)

    def arrive(self, phase: str, client: int = LATE, message: object = None) -> None:
        message = self.good[phase] if message is None else message
        server: Any = self.fleet.server
        if phase == "keys":
            self.fleet.front.receive_keys(client, message)  # type: ignore[arg-type]
        elif phase == "shares":
            server.receive_shares(client, message)
        elif phase == "vector":
            server.vector_added(client)
        elif phase == "word":
            assert isinstance(self.fleet, GuardedRehearsal)
            self.fleet.take_word(client, message)
        else:
            server.receive_unmask(client, message)

    def close(self, phase: str) -> object:
        server = self.fleet.server
        if phase == "word":
            assert isinstance(self.fleet, GuardedRehearsal)
            return self.fleet.guard.close_consistency()
        return {
            "keys": self.fleet.front.close_keys,
            "shares": server.close_shares,
            "vector": server.close_vectors,
            "unmask": server.close_unmasking,
        }[phase]()

    def _collect(self, phase: str) -> None:
        for client, party in self.fleet.parties.items():
            if client == LOST and phase in ("vector", "word", "unmask"):
                continue
            said = self._said(phase, client, party)
            if client == LATE:
                self.good[phase] = said
            else:
                self.arrive(phase, client, said or 0)

    def _said(self, phase: str, client: int, party: Any) -> object:  # noqa: ANN401
        server = self.fleet.server
        if phase == "keys":
            return party.advertise()
        if phase == "shares":
            party.receive_roster(self.fleet.front.roster_for(client))
            return party.share(b"")
        if phase == "vector":
            party.receive_delivery(server.delivery_for(client))
            return party.mask(np.zeros(4, "<u4"), 0)
        if phase == "word":
            return party.sign(server.survivors_for(client))
        if isinstance(self.fleet, GuardedRehearsal):
            return party.unmask(self.fleet.guard.signatures_for(client))
        return party.unmask(server.survivors_for(client))


def refused(scene: Arrivals, error: type[Exception], action: Callable[[], object]) -> str:
    parts = [scene.fleet.front, scene.fleet.server]
    before = [_state(part) for part in parts]
    with pytest.raises(error) as refusal:
        action()
    assert [_state(part) for part in parts] == before
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def _state(part: object) -> dict[str, object]:
    left_out = ("terms", "machine", "_pinned")
    return {name: deepcopy(value) for name, value in vars(part).items() if name not in left_out}


PAIRS = [
    (variant, phase, sent)
    for variant in VARIANTS
    for phase in phases_of(variant)
    for sent in phases_of(variant)[:-1]
]


@pytest.mark.parametrize(("variant", "phase", "sent"), PAIRS)
def test_every_arrival_in_every_phase(variant: str, phase: str, sent: str) -> None:
    """In its turn and once; too early, too late and twice is its sender's fault. Shares may come
    while signatures still do, if a client was shown enough of them: that was for it to judge."""
    scene = Arrivals(variant, phase)
    if phase == sent:
        scene.arrive(sent)
        refused(scene, ProtocolError, lambda: scene.arrive(sent))
    elif (phase, sent) == ("word", "unmask"):
        refused(scene, ProtocolError, lambda: scene.arrive(sent))  # of all: there is a lost one
    else:
        assert "not due" in refused(scene, ProtocolError, lambda: scene.arrive(sent))


@pytest.mark.parametrize(("variant", "phase", "closed"), PAIRS)
def test_every_closing_in_every_phase(variant: str, phase: str, closed: str) -> None:
    """Out of turn it is our own fault. Unmasking may be given up while signatures are collected;
    without answers it then fails."""
    scene = Arrivals(variant, phase)
    if phase == closed:
        scene.arrive(closed)
        scene.close(closed)
        refused(scene, LocalError, lambda: scene.close(closed))
    elif (phase, closed) == ("word", "unmask"):
        refused(scene, TooFewSurvivors, lambda: scene.close(closed))
    else:
        refused(scene, LocalError, lambda: scene.close(closed))


def same_kind(message: object, **changes: object) -> object:
    return replace(message, **changes)  # type: ignore[type-var]


WRONG: dict[str, Callable[[Arrivals, str], object]] = {
    "another round": lambda s, p: s.arrive(p, LATE, same_kind(s.good[p], round=6)),
    "another attempt": lambda s, p: s.arrive(p, LATE, same_kind(s.good[p], attempt=1)),
    "a stranger": lambda s, p: s.arrive(p, STRANGER, s.good[p]),
    "another client's": lambda s, p: s.arrive(p, 2, s.good[p]),
}


@pytest.mark.parametrize("act", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("phase", ["keys", "shares", "word", "unmask"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_messages_of_other_sums_and_senders(
    variant: str, phase: str, act: Callable[[Arrivals, str], object]
) -> None:
    if phase not in phases_of(variant):
        assert variant in ("secagg", "secagg+")
        return
    scene = Arrivals(variant, phase)
    refused(scene, ProtocolError, lambda: act(scene, phase))
    scene.arrive(phase)


@pytest.mark.parametrize("phase", ["vector", "word", "unmask"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_lost_have_no_say(variant: str, phase: str) -> None:
    scene = Arrivals(variant, phase if phase in phases_of(variant) else "unmask")
    if phase == "vector":
        scene.arrive(phase)
        scene.close(phase)
    message = scene.good["unmask"]
    assert "no part" in refused(
        scene, ProtocolError, lambda: scene.fleet.server.receive_unmask(LOST, message)
    )


def chosen(scene: Arrivals, *clients: int) -> PublicKeys:
    """The late client's keys with another choice, properly signed."""
    assert isinstance(scene.fleet, GuardedRehearsal)
    keys: PublicKeys = scene.good["keys"]
    both = (keys.sealing, keys.masking)
    statement = scene.fleet.pinned.keys_statement(LATE, both, clients)
    signature = scene.fleet.identities[LATE].sign(statement)
    return replace(keys, chosen=clients, signature=signature)


@pytest.mark.parametrize(
    "clients",
    [(), (2, 3, 5), (2, 3, 5, 7, 13), (2, 3, 5, LATE), (2, 3, 5, STRANGER), (2, 2, 3, 5)],
)
def test_choices_that_nobody_can_make(clients: tuple[int, ...]) -> None:
    scene = Arrivals("secagg+ active", "keys")
    message = chosen(scene, *clients)
    assert f"client {LATE} chose" in refused(
        scene, ProtocolError, lambda: scene.arrive("keys", LATE, message)
    )
    scene.arrive("keys", LATE, chosen(scene, 2, 3, 5, 13))
    assert LATE in scene.fleet.front.close_keys()


def test_a_choice_is_part_of_what_is_signed() -> None:
    scene = Arrivals("secagg+ active", "keys")
    message = replace(scene.good["keys"], chosen=(2, 3, 5, 7))
    assert "does not match" in refused(
        scene, ProtocolError, lambda: scene.arrive("keys", LATE, message)
    )


ATTESTATIONS: dict[str, Callable[[Attestations], Attestations]] = {
    "one left out": lambda m: replace(m, signatures=dict(list(m.signatures.items())[1:])),
    "of the lost": lambda m: replace(m, signatures={**m.signatures, LOST: bytes(64)}),
    "of one not held": lambda m: replace(m, signatures={**m.signatures, 13: bytes(64)}),
    "one damaged": lambda m: replace(m, signatures={**m.signatures, 17: bytes(64)}),
    "two swapped": lambda m: replace(
        m, signatures={**m.signatures, 17: m.signatures[19], 19: m.signatures[17]}
    ),
}


@pytest.mark.parametrize("change", ATTESTATIONS.values(), ids=ATTESTATIONS.keys())
def test_attestations_that_are_refused(change: Callable[[Attestations], Attestations]) -> None:
    scene = Arrivals("secagg+ active", "word")
    bad = change(scene.good["word"])
    refused(scene, ProtocolError, lambda: scene.arrive("word", LATE, bad))
    scene.arrive("word")


def test_only_whom_enough_vouch_for_is_asked() -> None:
    """Of the four that each chose, three must sign. Shown are no more than that."""
    rehearsal = fleet("secagg+ active")
    assert isinstance(rehearsal, GuardedRehearsal)
    rehearsal.keys()
    rehearsal.shares()
    rehearsal.vectors({c: np.zeros(4, "<u4") for c in IDS}, 32)
    guard, server = rehearsal.guard, rehearsal.server
    with pytest.raises(LocalError, match="no signatures"):
        guard.signatures_for(2)
    for count, (client, party) in enumerate(rehearsal.guarded.items()):
        if count < 5:
            with pytest.raises(TooFewSurvivors, match="after the survivors' attestations"):
                guard.close_consistency()
        if client != 3:
            rehearsal.take_word(client, party.sign(server.survivors_for(client)))
    asked = guard.close_consistency()
    assert asked == set(IDS) - {3}
    for client in asked:
        signers = guard.signatures_for(client).signatures
        assert len(signers) == 3
        assert set(signers) <= set(server.terms.graph.holders(client)) - {3}
    with pytest.raises(LocalError, match="no signatures"):
        guard.signatures_for(3)
    with pytest.raises(LocalError, match="cannot be closed"):
        guard.close_consistency()
