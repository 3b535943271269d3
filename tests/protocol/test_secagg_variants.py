"""Every illegal event of a client has its row, in all four kinds of secure sum: each step in each
phase, and each message with something wrong. A refusal changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Roster, Survivors
from protocol.secagg.guarded_rehearsal import GuardedRehearsal
from protocol.sizes import SEALED_BYTES
from tests.protocol.secagg_fleets import IDS, VARIANTS
from tests.protocol.secagg_stage import (
    LOST,
    ME,
    SHARER,
    STRANGER,
    THEIRS,
    Stage,
    listed,
    named_otherwise,
    of_another_sum,
    refused,
    sealed,
    steps_of,
    without,
)

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
    refused(stage, ProtocolError if step in THEIRS else LocalError, lambda: stage.do(step))


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
