"""Against an active coordinator a client believes what is signed, by whom it chose, in this sum:
what is signed otherwise is refused and changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Plan, Roster, Signatures, Survivors
from protocol.secagg.choosing import ChoosingServer
from protocol.secagg.guarded_rehearsal import GuardedRehearsal
from protocol.secagg.keys import Parcel, Sum, seal, unseal
from protocol.secagg.terms import Terms
from tests.protocol.secagg_fleets import FOES, IDS, SUM, fleet
from tests.protocol.secagg_stage import (
    LOST,
    ME,
    SHARER,
    SILENT,
    STRANGER,
    Stage,
    listed,
    named_otherwise,
    of_another_sum,
    refused,
    sealed,
    steps_of,
    without,
)


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
