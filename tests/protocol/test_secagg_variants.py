"""Every illegal event of a client has its row, in all four kinds of secure sum: each step in each
phase, and each message with something wrong. A refusal changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Delivery, Plan, Roster, Signatures, Survivors
from protocol.secagg.choosing import ChoosingServer
from protocol.secagg.guarded_rehearsal import GuardedRehearsal
from protocol.secagg.keys import Parcel, Sum, seal, unseal
from protocol.secagg.terms import Terms
from protocol.sizes import SEALED_BYTES
from tests.protocol.secagg_fleets import FOES, IDS, SUM, VARIANTS, fleet

ME, LOST = 11, 7
"""In the sum where clients choose, 11 has holders that hold its shares only (2, 13), owners whose
shares it holds only (3, 5, 7), and both in one (17, 19)."""
SHARER, SILENT, STRANGER = 17, 13, 23
WORDS = 16
STEPS = ("advertise", "receive_roster", "share", "receive_delivery", "mask", "sign", "unmask")
_THEIRS = {"receive_roster", "receive_delivery", "sign", "unmask"}


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
        if step in _THEIRS:
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


MATRIX = [
    (variant, done, step)
    for variant in VARIANTS
    for done in range(len(steps_of(variant)) + 1)
    for step in steps_of(variant)
]


@pytest.mark.parametrize(("variant", "done", "step"), MATRIX)
def test_every_step_after_every_other(variant: str, done: int, step: str) -> None:
    """Legal in its turn; masking may go on until the list of survivors is answered or signed."""
    stage, steps = Stage(variant, done), steps_of(variant)
    goes_on = step == "mask" and done == steps.index("mask") + 1
    if done == steps.index(step) or goes_on:
        stage.do(step)
        return
    refused(stage, ProtocolError if step in _THEIRS else LocalError, lambda: stage.do(step))


def without(mapping: Any, *clients: int) -> Any:  # noqa: ANN401
    return {client: value for client, value in mapping.items() if client not in clients}


def keys_changed(stage: Stage, client: int, keys: tuple[bytes, bytes]) -> Roster:
    """Signed by its client, if clients sign: this one is corrupt."""
    roster: Roster = stage.good["receive_roster"]
    changed = replace(roster, keys={**roster.keys, client: keys})
    if not isinstance(stage.fleet, GuardedRehearsal) or client not in IDS:
        return changed
    pinned, identity = stage.fleet.pinned, stage.fleet.identities[client]
    statement = pinned.keys_statement(client, keys, roster.chosen.get(client, ()))
    return replace(changed, signatures={**roster.signatures, client: identity.sign(statement)})


def peers_keys(stage: Stage, client: int) -> tuple[bytes, bytes]:
    keys: tuple[bytes, bytes] = stage.good["receive_roster"].keys[client]
    return keys


def only(roster: Roster, *clients: int) -> Roster:
    return replace(
        roster,
        keys={c: roster.keys[c] for c in clients},
        signatures={c: s for c, s in roster.signatures.items() if c in clients},
        chosen={c: s for c, s in roster.chosen.items() if c in clients},
    )


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


ROSTERS: dict[str, Callable[[Stage], object]] = {
    **named_otherwise("receive_roster"),
    "nobody": lambda s: only(s.good["receive_roster"]),
    "without me": lambda s: only(
        s.good["receive_roster"], *without(s.good["receive_roster"].keys, ME)
    ),
    "my keys replaced": lambda s: keys_changed(s, ME, (b"x" * 32, b"y" * 32)),
    "my keys swapped": lambda s: keys_changed(s, ME, peers_keys(s, ME)[::-1]),
    "a stranger": lambda s: keys_changed(s, STRANGER, (b"x" * 32, b"y" * 32)),
    "too few": lambda s: only(s.good["receive_roster"], ME, SHARER),
    "a peer with another's keys": lambda s: keys_changed(s, SHARER, peers_keys(s, 19)),
    "a peer with my keys": lambda s: keys_changed(s, SHARER, peers_keys(s, ME)),
    "one key for both uses": lambda s: keys_changed(s, SHARER, (b"x" * 32, b"x" * 32)),
    "a sealing key of low order": lambda s: keys_changed(
        s, SHARER, (bytes(32), peers_keys(s, SHARER)[1])
    ),
    "a masking key of low order": lambda s: keys_changed(
        s, SHARER, (peers_keys(s, SHARER)[0], bytes(31) + b"\x80")
    ),
}
DELIVERIES: dict[str, Callable[[Stage], object]] = {
    **named_otherwise("receive_delivery"),
    **of_another_sum("receive_delivery"),
    "damaged": lambda s: sealed(s, SHARER, bytes([*box(s, SHARER)[:-1], box(s, SHARER)[-1] ^ 1])),
    "truncated": lambda s: sealed(s, SHARER, box(s, SHARER)[:-1]),
    "nonsense": lambda s: sealed(s, SHARER, bytes(SEALED_BYTES)),
    "another sender's": lambda s: sealed(s, SHARER, box(s, 19)),
    "sealed for another": lambda s: sealed(
        s, SHARER, next(iter(s.fleet.server.delivery_for(SHARER).sealed.values()))
    ),
    "from a stranger": lambda s: sealed(s, STRANGER, bytes(SEALED_BYTES)),
    "from myself": lambda s: sealed(s, ME, bytes(SEALED_BYTES)),
    "too few": lambda s: replace(s.good["receive_delivery"], sealed={}, present=()),
    "a sender said to have sent nothing": lambda s: replace(
        s.good["receive_delivery"], present=(SHARER,)
    ),
    "a stranger said to be there": lambda s: replace(
        s.good["receive_delivery"], present=(STRANGER,)
    ),
    "myself said to be there": lambda s: replace(s.good["receive_delivery"], present=(ME,)),
}
LISTS: dict[str, Callable[[Stage], Survivors]] = {
    "wrong round": lambda s: Survivors(6, 2, listed(s).clients),
    "wrong attempt": lambda s: Survivors(7, 1, listed(s).clients),
    "without me": lambda s: Survivors(7, 2, tuple(c for c in listed(s).clients if c != ME)),
    "too few": lambda s: Survivors(7, 2, (ME, SHARER)),
    "only me": lambda s: Survivors(7, 2, (ME,)),
    "nobody": lambda s: Survivors(7, 2, ()),
    "a stranger": lambda s: Survivors(7, 2, (*listed(s).clients, STRANGER)),
    "one named twice": lambda s: Survivors(7, 2, (*listed(s).clients, SHARER)),
}


def box(stage: Stage, sender: int) -> bytes:
    sealed: bytes = stage.good["receive_delivery"].sealed[sender]
    return sealed


def sealed(stage: Stage, sender: int, data: bytes) -> Delivery:
    delivery: Delivery = stage.good["receive_delivery"]
    return replace(delivery, sealed={**delivery.sealed, sender: data})


def listed(stage: Stage) -> Survivors:
    found: Survivors = stage.good["sign" if stage.active else "unmask"]
    return found


TABLES = {"receive_roster": ROSTERS, "receive_delivery": DELIVERIES}
MESSAGES = {
    f"{variant}-{step}-{name}": (variant, step, row)
    for variant in VARIANTS
    for step, table in TABLES.items()
    for name, row in table.items()
}


@pytest.mark.parametrize(("variant", "step", "row"), MESSAGES.values(), ids=MESSAGES.keys())
def test_messages_that_are_refused(variant: str, step: str, row: Callable[[Stage], object]) -> None:
    stage = Stage(variant, steps_of(variant).index(step))
    bad = row(stage)
    refused(stage, ProtocolError, lambda: stage.do(step, bad))
    stage.do(step)  # the good one still goes through


@pytest.mark.parametrize("row", LISTS.values(), ids=LISTS.keys())
@pytest.mark.parametrize("variant", VARIANTS)
def test_lists_of_survivors_that_are_refused(
    variant: str, row: Callable[[Stage], Survivors]
) -> None:
    stage = Stage(variant, steps_of(variant).index("mask") + 1)
    step, bad = "sign" if stage.active else "unmask", row(stage)
    refused(stage, ProtocolError, lambda: stage.do(step, bad))
    stage.do(step)


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_that_never_shared_is_no_survivor(variant: str) -> None:
    """Lost before its shares: its mask was not applied, so nothing of it may be revealed."""
    stage = Stage(variant, steps_of(variant).index("receive_delivery"))
    delivery = stage.good["receive_delivery"]
    stage.do("receive_delivery", replace(delivery, sealed=without(delivery.sealed, LOST)))
    stage.do("mask")
    bad = Survivors(7, 2, tuple(sorted({ME, *delivery.sealed, *delivery.present})))
    step = "sign" if stage.active else "unmask"
    assert f"client {LOST}" in refused(stage, ProtocolError, lambda: stage.do(step, bad))


@pytest.mark.parametrize("variant", VARIANTS)
def test_never_both_secrets_of_one_client(variant: str) -> None:
    """Each owner in one of the answer's maps; and no second answer, to whatever list."""
    stage = Stage(variant, len(steps_of(variant)) - 1)
    answer: Any = stage.do("unmask")
    keys, seeds = set(answer.masking_key_shares), set(answer.self_seed_shares)
    held = set(stage.fleet.clients[ME].held)
    assert (keys & seeds, keys | seeds, LOST in keys) == (set(), held, True)
    for step in {"sign", "unmask"} & set(steps_of(variant)):
        refused(stage, ProtocolError, lambda step=step: stage.do(step))  # type: ignore[misc]
    alive = Survivors(7, 2, tuple(sorted({*listed(stage).clients, LOST})))
    if stage.active:
        refused(stage, ProtocolError, lambda: stage.do("sign", alive))
    else:
        refused(stage, ProtocolError, lambda: stage.do("unmask", alive))


def word(stage: Stage, signer: int, about: int = ME, sum_: Sum = SUM, seed: int = 0) -> bytes:
    """What a client would sign of the survivors, or of one of them, in some sum; with another seed,
    in another play of it."""
    rehearsal = fleet(stage.variant, sum_=sum_)
    assert isinstance(rehearsal, GuardedRehearsal)
    assert isinstance(stage.fleet, GuardedRehearsal)
    keys = Stage(stage.variant, 1, seed=seed).fleet.server._keys
    if isinstance(stage.fleet.guard, ChoosingServer):
        statement = rehearsal.pinned.survived_statement(about, keys[about])
    else:
        alive = listed(stage).clients if about == ME else (*listed(stage).clients, LOST)
        statement = rehearsal.pinned.survivors_statement({client: keys[client] for client in alive})
    return stage.fleet.identities[signer].sign(statement)


def vouched(stage: Stage, signer: int, signature: bytes) -> Signatures:
    good: Signatures = stage.good["unmask"]
    return replace(good, signatures={**good.signatures, signer: signature})


SIGNATURES: dict[str, Callable[[Stage], object]] = {
    **named_otherwise("unmask"),
    "none": lambda s: replace(s.good["unmask"], signatures={}),
    "one too few": lambda s: replace(
        s.good["unmask"], signatures=dict(list(s.good["unmask"].signatures.items())[:-3])
    ),
    "damaged": lambda s: vouched(s, 19, bytes(64)),
    "under another's name": lambda s: vouched(s, 19, word(s, SHARER)),
    "of something else": lambda s: vouched(s, 19, word(s, 19, about=SHARER)),
    "of another session": lambda s: vouched(s, 19, word(s, 19, sum_=Sum(bytes(16), 7, 2))),
    "of another round": lambda s: vouched(s, 19, word(s, 19, sum_=Sum(SUM.session, 6, 2))),
    "of another attempt": lambda s: vouched(s, 19, word(s, 19, sum_=Sum(SUM.session, 7, 1))),
    # A coordinator may name session and round of an earlier run to clients that were started anew.
    "of an earlier play of the same sum": lambda s: vouched(s, 19, word(s, 19, seed=1)),
    "of one said to be lost": lambda s: vouched(s, LOST, word(s, LOST)),
    "of a stranger": lambda s: vouched(s, STRANGER, word(s, 19)),
}


@pytest.mark.parametrize("row", SIGNATURES.values(), ids=SIGNATURES.keys())
@pytest.mark.parametrize("variant", ["secagg active", "secagg+ active"])
def test_signatures_that_are_refused(variant: str, row: Callable[[Stage], object]) -> None:
    stage = Stage(variant, steps_of(variant).index("unmask"))
    bad = row(stage)
    refused(stage, ProtocolError, lambda: stage.do("unmask", bad))
    stage.do("unmask")


def test_only_those_that_a_client_chose_can_vouch_for_it() -> None:
    """Owners whose shares it holds may be as many as the coordinator has corrupt clients."""
    stage = Stage("secagg+ active", steps_of("secagg+ active").index("unmask"))
    for owner in (3, 5):
        bad = vouched(stage, owner, word(stage, owner))
        line = refused(stage, ProtocolError, lambda bad=bad: stage.do("unmask", bad))  # type: ignore[misc]
        assert "whose word counts" in line
    assert word(stage, SHARER) == stage.good["unmask"].signatures[SHARER]
    assert FOES.corrupt < 3  # of the two that a threshold of 3 out of 4 leaves to the corrupt


CHOICES: dict[str, Callable[[Roster], Roster]] = {
    "no choices": lambda r: replace(r, chosen={}),
    "one missing": lambda r: replace(r, chosen=without(r.chosen, SHARER)),
    "one of a stranger": lambda r: replace(r, chosen={**r.chosen, STRANGER: (2, 3, 5, 7)}),
    "mine changed": lambda r: replace(r, chosen={**r.chosen, ME: (2, 3, 5, 7)}),
    "another's changed": lambda r: replace(r, chosen={**r.chosen, SHARER: (2, 3, 5, ME)}),
    "too few": lambda r: replace(r, chosen={**r.chosen, SHARER: (ME,)}),
    "one of itself": lambda r: replace(r, chosen={**r.chosen, SHARER: (2, 3, ME, SHARER)}),
    "one chosen twice": lambda r: replace(r, chosen={**r.chosen, SHARER: (2, 3, ME, ME)}),
    "one of nobody": lambda r: replace(r, chosen={**r.chosen, SHARER: (2, 3, ME, STRANGER)}),
}


@pytest.mark.parametrize("change", CHOICES.values(), ids=CHOICES.keys())
def test_choices_that_are_refused(change: Callable[[Roster], Roster]) -> None:
    stage = Stage("secagg+ active", 1)
    bad = change(stage.good["receive_roster"])
    refused(stage, ProtocolError, lambda: stage.do("receive_roster", bad))
    stage.do("receive_roster")


def test_a_client_that_neither_chose_has_no_place_on_the_roster() -> None:
    """Not even with its own signature: masks with everybody are not what was agreed."""
    stage = Stage("secagg+ active", 1)
    assert isinstance(stage.fleet, GuardedRehearsal)
    roster, me = stage.fleet.guard.roster_for(5), stage.fleet.guarded[5]
    outsider = next(c for c in IDS if c not in roster.keys)
    whole = stage.fleet.guard.roster_for(outsider)
    bad = replace(
        roster,
        keys={**roster.keys, outsider: whole.keys[outsider]},
        signatures={**roster.signatures, outsider: whole.signatures[outsider]},
        chosen={**roster.chosen, outsider: whole.chosen[outsider]},
    )
    line = refused(stage, ProtocolError, lambda: me.receive_roster(bad))
    assert f"client {outsider} has no place" in line
    me.receive_roster(roster)


@pytest.mark.parametrize("row", of_another_sum("receive_roster").values())
@pytest.mark.parametrize("variant", ["secagg active", "secagg+ active"])
def test_keys_signed_for_another_sum(variant: str, row: Callable[[Stage], object]) -> None:
    """Even of clients that drew the same keys again."""
    stage = Stage(variant, 1)
    bad = row(stage)
    assert "does not match" in refused(
        stage, ProtocolError, lambda: stage.do("receive_roster", bad)
    )


def test_vouchers_said_lost_do_not_count() -> None:
    """A client cannot be told that its holder is lost and be shown its signature too."""
    stage = Stage("secagg+ active", steps_of("secagg+ active").index("sign"))
    holders = stage.fleet.clients[ME].terms.graph.holders(ME)
    gone = holders[0]
    stage.do("sign", Survivors(7, 2, tuple(c for c in listed(stage).clients if c != gone)))
    shown = Signatures(7, 2, {c: word(stage, c) for c in holders})
    refused(stage, ProtocolError, lambda: stage.do("unmask", shown))
    stage.do("unmask", replace(shown, signatures=without(shown.signatures, gone)))


def test_a_client_attests_to_survivors_whose_shares_it_holds() -> None:
    stage = Stage("secagg+ active", steps_of("secagg+ active").index("sign"))
    attested: Any = stage.do("sign")
    assert sorted(attested.signatures) == [3, 5, 17, 19]  # of its owners 3, 5, 7, 17, 19
    for owner, signature in attested.signatures.items():
        assert signature == word(stage, ME, about=owner)


def test_shares_that_nobody_owed_are_refused() -> None:
    """Well sealed, by one that this client chose and that did not choose it: a corrupt one."""
    stage = Stage("secagg+ active", steps_of("secagg+ active").index("receive_delivery"))
    sender, me = stage.fleet.clients[SILENT], stage.fleet.clients[ME]
    parcel = Parcel(bytes(32), bytes(32), b"")
    box_ = seal(parcel, sender._pairings[ME].send_key, SUM, (SILENT, ME))
    assert unseal(box_, me._pairings[SILENT].receive_key, SUM, (SILENT, ME)) == parcel
    bad = sealed(stage, SILENT, box_)
    assert f"client {SILENT}" in refused(
        stage, ProtocolError, lambda: stage.do("receive_delivery", bad)
    )


def test_a_graph_drawn_by_the_coordinator_is_refused() -> None:
    plan = Plan(7, 2, IDS, "secagg+", 3, neighbours=4)
    terms = Terms.of_plan(SUM.session, plan, active=True)
    assert terms.graph.neighbours(ME) == ()  # nobody has chosen yet
    with pytest.raises(ProtocolError, match="not the coordinator's to draw"):
        Terms.of_plan(SUM.session, replace(plan, graph_seed=bytes(32)), active=True)


def test_nothing_is_masked_after_signing() -> None:
    stage = Stage("secagg active", steps_of("secagg active").index("unmask"))
    assert "whole" in refused(stage, LocalError, lambda: stage.do("mask"))
