"""Every illegal event of the client machine has its row. A refusal changes nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Delivery, Roster, Survivors, Unmask
from protocol.secagg.client import TRANSITIONS, ClientMachine, Phase, Step
from protocol.secagg.keys import Sum
from protocol.secagg.rehearsal import Rehearsal
from protocol.secagg.terms import Terms
from protocol.sizes import NOTE_BYTES, SEALED_BYTES

IDS = (1, 2, 3, 4, 5)
ME = 3
SUM = Sum(b"session-16-bytes", 7, 2)
WORDS = 64


class Source:
    """Repeatable randomness; never the same twice."""

    def __init__(self, client: int) -> None:
        self._state = np.random.default_rng(client)

    def __call__(self, size: int) -> bytes:
        return self._state.bytes(size)


class Scene:
    """Client 3 of 5 (threshold 3), brought to a phase, with the good message for the next step."""

    def __init__(self, phase: Phase) -> None:
        self.fleet = Rehearsal(Terms.complete(SUM, IDS, 3), Source)
        self.me = self.fleet.clients[ME]
        server, others = self.fleet.server, [c for c in IDS if c != ME]
        self.roster = Roster(7, 2, {})
        self.delivery = Delivery(7, 2, {})
        self.survivors = Survivors(7, 2, (1, 2, 3, 4))
        if phase.value < Phase.ADVERTISED.value:
            return
        self.fleet.keys()
        self.roster = server.roster_for(ME)
        if phase.value < Phase.ROSTERED.value:
            return
        self.me.receive_roster(self.roster)
        if phase.value < Phase.SHARED.value:
            return
        for client in others:
            self.fleet.clients[client].receive_roster(server.roster_for(client))
            server.receive_shares(client, self.fleet.clients[client].share(b""))
        server.receive_shares(ME, self.me.share(b""))
        server.close_shares()
        self.delivery = server.delivery_for(ME)
        if phase.value < Phase.DELIVERED.value:
            return
        self.me.receive_delivery(self.delivery)
        if phase.value < Phase.MASKED.value:
            return
        self.me.mask(np.zeros(WORDS, "<u4"), 0)
        if phase is Phase.UNMASKED:
            self.me.unmask(self.survivors)

    def do(self, step: Step) -> object:
        me = self.me
        actions: dict[Step, Callable[[], object]] = {
            Step.ADVERTISE: me.advertise,
            Step.RECEIVE_ROSTER: lambda: me.receive_roster(self.roster),
            Step.SHARE: lambda: me.share(b""),
            Step.RECEIVE_DELIVERY: lambda: me.receive_delivery(self.delivery),
            Step.MASK: lambda: me.mask(
                np.zeros(WORDS, "<u4"), WORDS if me.phase is Phase.MASKED else 0
            ),
            Step.UNMASK: lambda: me.unmask(self.survivors),
        }
        return actions[step]()


def refused(machine: ClientMachine, error: type[Exception], action: Callable[[], object]) -> str:
    """Run the action; it must raise `error` in one line and leave the machine as it was."""
    before = dict(vars(machine))
    with pytest.raises(error) as refusal:
        action()
    assert dict(vars(machine)) == before
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("step", Step, ids=lambda step: step.name)
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_every_step_in_every_phase(phase: Phase, step: Step) -> None:
    """Legal exactly where the table says so; whose fault it is otherwise."""
    scene = Scene(phase)
    assert scene.me.phase is phase
    if (phase, step) in TRANSITIONS:
        scene.do(step)
        assert scene.me.phase is TRANSITIONS[phase, step]
        return
    theirs = step in (Step.RECEIVE_ROSTER, Step.RECEIVE_DELIVERY, Step.UNMASK)
    line = refused(scene.me, ProtocolError if theirs else LocalError, lambda: scene.do(step))
    assert "not due" in line or "second time" in line


def test_the_table_goes_one_way() -> None:
    """Every step is legal in one phase only and leads to the next; masking alone may go on."""
    once = {(before, step) for before, step in TRANSITIONS if step is not Step.MASK}
    assert len({step for _, step in once}) == len(once) == len(Step) - 1
    for (before, step), after in TRANSITIONS.items():
        goes_on = step is Step.MASK and before is Phase.MASKED
        assert after.value == before.value + (0 if goes_on else 1)


def test_every_client_draws_secrets_of_its_own() -> None:
    fleet = Scene(Phase.DELIVERED).fleet
    secrets = []
    for machine in fleet.clients.values():
        assert machine._own is not None
        secrets += [machine._self_seed, machine._own.sealing.secret, machine._own.masking.secret]
    assert len(set(secrets)) == 3 * len(IDS)


LOW_ORDER = bytes(32)
ROSTERS: dict[str, tuple[Callable[[Roster], Roster], str]] = {
    "wrong round": (lambda r: replace(r, round=6), "round 6"),
    "wrong attempt": (lambda r: replace(r, attempt=1), "attempt 1"),
    "without me": (lambda r: replace(r, keys={c: k for c, k in r.keys.items() if c != ME}), "own"),
    "my keys replaced": (lambda r: replace(r, keys={**r.keys, ME: (b"x" * 32, b"y" * 32)}), "own"),
    "my keys swapped": (
        lambda r: replace(r, keys={**r.keys, ME: (r.keys[ME][1], r.keys[ME][0])}),
        "own",
    ),
    "a stranger": (lambda r: replace(r, keys={**r.keys, 9: (b"x" * 32, b"y" * 32)}), "client 9"),
    "too few": (lambda r: replace(r, keys={c: r.keys[c] for c in (ME, 1)}), "fewer than"),
    "a peer with another's keys": (lambda r: replace(r, keys={**r.keys, 1: r.keys[2]}), "twice"),
    "a peer with my keys": (lambda r: replace(r, keys={**r.keys, 1: r.keys[ME]}), "twice"),
    "one key for both uses": (
        lambda r: replace(r, keys={**r.keys, 1: (b"x" * 32, b"x" * 32)}),
        "twice",
    ),
    "a sealing key of low order": (
        lambda r: replace(r, keys={**r.keys, 1: (LOW_ORDER, r.keys[1][1])}),
        "low order",
    ),
    "a masking key of low order": (
        lambda r: replace(r, keys={**r.keys, 5: (r.keys[5][0], LOW_ORDER)}),
        "low order",
    ),
}


@pytest.mark.parametrize(("change", "rule"), ROSTERS.values(), ids=ROSTERS.keys())
def test_rosters_that_are_refused(change: Callable[[Roster], Roster], rule: str) -> None:
    scene = Scene(Phase.ADVERTISED)
    line = refused(scene.me, ProtocolError, lambda: scene.me.receive_roster(change(scene.roster)))
    assert rule in line
    scene.me.receive_roster(scene.roster)  # the good one still goes through
    assert scene.me.phase is Phase.ROSTERED


def other_sum(sealed_for: int, sum_: Sum) -> Delivery:
    """What honest peers sealed in another sum, under other keys."""
    fleet = Rehearsal(Terms.complete(sum_, IDS, 3), Source)
    fleet.keys()
    fleet.shares()
    return replace(fleet.server.delivery_for(sealed_for), round=7, attempt=2)


def moved(delivery: Delivery, **sealed: bytes) -> Delivery:
    changed = {int(name[1:]): value for name, value in sealed.items()}
    return replace(delivery, sealed={**delivery.sealed, **changed})


DELIVERIES: dict[str, tuple[Callable[[Delivery], Delivery], str]] = {
    "wrong round": (lambda d: replace(d, round=8), "round 8"),
    "wrong attempt": (lambda d: replace(d, attempt=3), "attempt 3"),
    "damaged": (lambda d: moved(d, _1=d.sealed[1][:-1] + bytes([d.sealed[1][-1] ^ 1])), "decrypt"),
    "truncated": (lambda d: moved(d, _2=d.sealed[2][:-1]), "wrong length"),
    "nonsense": (lambda d: moved(d, _4=bytes(SEALED_BYTES)), "decrypt"),
    "two senders swapped": (lambda d: moved(d, _1=d.sealed[2], _2=d.sealed[1]), "decrypt"),
    "of another round": (lambda d: other_sum(ME, Sum(SUM.session, 6, 2)), "decrypt"),
    "of another attempt": (lambda d: other_sum(ME, Sum(SUM.session, 7, 1)), "decrypt"),
    "of another session": (lambda d: other_sum(ME, Sum(b"another-session-", 7, 2)), "decrypt"),
    "from a stranger": (lambda d: moved(d, _9=bytes(SEALED_BYTES)), "client 9"),
    "from myself": (lambda d: moved(d, _3=bytes(SEALED_BYTES)), "client 3"),
    "too few": (lambda d: replace(d, sealed={1: d.sealed[1]}), "fewer than"),
    "empty": (lambda d: replace(d, sealed={}), "fewer than"),
}


@pytest.mark.parametrize(("change", "rule"), DELIVERIES.values(), ids=DELIVERIES.keys())
def test_deliveries_that_are_refused(change: Callable[[Delivery], Delivery], rule: str) -> None:
    scene = Scene(Phase.SHARED)
    bad = change(scene.delivery)
    assert rule in refused(scene.me, ProtocolError, lambda: scene.me.receive_delivery(bad))
    scene.me.receive_delivery(scene.delivery)
    assert scene.me.phase is Phase.DELIVERED


def test_what_was_sealed_for_another_client_does_not_open() -> None:
    scene = Scene(Phase.SHARED)
    mine = scene.fleet.server.delivery_for(2).sealed
    bad = moved(scene.delivery, _1=mine[1])
    assert "decrypt" in refused(scene.me, ProtocolError, lambda: scene.me.receive_delivery(bad))


SURVIVORS: dict[str, tuple[Survivors, str]] = {
    "wrong round": (Survivors(6, 2, (1, 2, 3)), "round 6"),
    "wrong attempt": (Survivors(7, 1, (1, 2, 3)), "attempt 1"),
    "without me": (Survivors(7, 2, (1, 2, 4, 5)), "itself is said to be lost"),
    "too few": (Survivors(7, 2, (1, 3)), "fewer than"),
    "only me": (Survivors(7, 2, (3,)), "fewer than"),
    "nobody": (Survivors(7, 2, ()), "itself"),
    "a stranger": (Survivors(7, 2, (1, 2, 3, 9)), "client 9"),
    "one named twice": (Survivors(7, 2, (1, 2, 2, 3)), "named twice"),
}


@pytest.mark.parametrize(("bad", "rule"), SURVIVORS.values(), ids=SURVIVORS.keys())
def test_lists_of_survivors_that_are_refused(bad: Survivors, rule: str) -> None:
    scene = Scene(Phase.MASKED)
    assert rule in refused(scene.me, ProtocolError, lambda: scene.me.unmask(bad))
    assert isinstance(scene.me.unmask(scene.survivors), Unmask)


def test_a_client_lost_before_its_shares_cannot_be_called_a_survivor() -> None:
    """Not in the delivery: its mask was not applied, so nothing of it may be revealed."""
    scene = Scene(Phase.SHARED)
    delivery = replace(scene.delivery, sealed={c: scene.delivery.sealed[c] for c in (1, 2, 4)})
    scene.me.receive_delivery(delivery)
    scene.me.mask(np.zeros(WORDS, "<u4"), 0)
    bad = Survivors(7, 2, (1, 2, 3, 5))
    assert "client 5" in refused(scene.me, ProtocolError, lambda: scene.me.unmask(bad))


def test_never_both_secrets_of_one_peer() -> None:
    """One answer per machine: each peer in exactly one of its maps; a second list is refused,
    whether it is the same, calls a lost client alive, or a survivor lost."""
    scene = Scene(Phase.MASKED)
    answer = scene.me.unmask(Survivors(7, 2, (1, 2, 3)))
    assert sorted(answer.masking_key_shares) == [4, 5]
    assert sorted(answer.self_seed_shares) == [1, 2, 3]
    for again in ((1, 2, 3), (1, 2, 3, 4), (1, 3, 4)):
        bad = Survivors(7, 2, again)
        line = refused(scene.me, ProtocolError, lambda bad=bad: scene.me.unmask(bad))  # type: ignore[misc]
        assert "second time" in line


@pytest.mark.parametrize("offset", [0, WORDS - 1, WORDS + 1, -1])
def test_no_coordinate_is_masked_twice_and_none_is_skipped(offset: int) -> None:
    scene = Scene(Phase.MASKED)
    words = np.zeros(WORDS, "<u4")
    refused(scene.me, LocalError, lambda: scene.me.mask(words, offset))
    assert not words.any()


def test_words_of_another_width_would_reuse_the_keystream() -> None:
    scene = Scene(Phase.MASKED)
    words = np.zeros(WORDS, "<u8")
    line = refused(scene.me, LocalError, lambda: scene.me.mask(words, WORDS))
    assert "same kind of words" in line
    assert not words.any()


def test_masking_cannot_begin_in_the_middle() -> None:
    scene = Scene(Phase.DELIVERED)
    refused(scene.me, LocalError, lambda: scene.me.mask(np.zeros(4, "<u4"), 4))


def test_words_of_the_wrong_kind_are_not_masked() -> None:
    scene = Scene(Phase.DELIVERED)
    refused(scene.me, LocalError, lambda: scene.me.mask(np.zeros(4, np.int64), 0))


def test_a_note_too_long_is_our_fault() -> None:
    scene = Scene(Phase.ROSTERED)
    refused(scene.me, LocalError, lambda: scene.me.share(bytes(NOTE_BYTES + 1)))
    scene.me.share(bytes(NOTE_BYTES))
    assert scene.me.phase is Phase.SHARED


def test_shares_outside_the_field_are_refused() -> None:
    """A peer that seals properly what is no element of the field."""
    scene = Scene(Phase.SHARED)
    forged = Rehearsal(Terms.complete(SUM, IDS, 3), Source).clients[1]
    forged.advertise()
    forged.receive_roster(scene.fleet.server.roster_for(1))
    forged._split = lambda seed, note: {  # type: ignore[method-assign]
        client: replace(parcel, self_seed_share=b"\xff" * 32)
        for client, parcel in ClientMachine._split(forged, seed, note).items()
    }
    bad = moved(scene.delivery, _1=forged.share(b"").sealed[ME])
    line = refused(scene.me, ProtocolError, lambda: scene.me.receive_delivery(bad))
    assert "element" in line


def test_who_takes_no_part_has_no_machine() -> None:
    with pytest.raises(LocalError, match="no part"):
        ClientMachine(9, Terms.complete(SUM, IDS, 3), Source(9))


def test_nothing_secret_is_shown() -> None:
    scene = Scene(Phase.MASKED)
    own = scene.me._own
    assert own is not None
    shown = repr(scene.me) + repr(own) + repr(scene.me._pairings) + repr(scene.me._parcels)
    for secret in (own.sealing.secret, own.masking.secret, scene.me._self_seed):
        assert repr(secret)[2:-1] not in shown
