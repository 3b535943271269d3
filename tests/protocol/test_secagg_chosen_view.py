"""What an active coordinator can make of a sum where clients choose their neighbours.

First what an honest one is handed, in a round with losses; then what one that lies gets: telling
clients different things of who chose them, who is there and who survived. It must end without both
secrets of anybody, and with nothing at all from those that it contradicts.
"""

from dataclasses import replace

import numpy as np
import pytest

from protocol.errors import ProtocolError
from protocol.messages import (
    Attestations,
    PublicKeys,
    Roster,
    SealedShares,
    Signatures,
    Survivors,
    Unmask,
)
from protocol.secagg.guarded_rehearsal import GuardedRehearsal, LostGuarded
from protocol.secagg.keys import KeyPair
from protocol.secagg.rehearsal import over_the_wire
from protocol.secagg.shares import Recovery
from tests.protocol.secagg_fleets import IDS, SUM, fleet

THRESHOLD = 3
VECTOR = np.dtype("<u4")


def play(lost: dict[int, int] | None = None, seed: int = 0) -> GuardedRehearsal:
    found = fleet("secagg+ active", seed, lost)
    assert isinstance(found, GuardedRehearsal)
    return found


def up_to_vectors(lost: dict[int, int] | None = None) -> GuardedRehearsal:
    found = play(lost)
    found.keys()
    found.shares()
    found.vectors({c: np.zeros(4, VECTOR) for c in IDS}, 32)
    return found


def test_exactly_what_is_handed_over() -> None:
    """By client and kind. Choices are known to all whom they concern, shares sealed for the chosen,
    and revealed are one secret's shares of each owner."""
    lost: dict[int, int] = {7: LostGuarded.VECTOR}
    rehearsal = play(lost)
    rehearsal.run({c: np.zeros(4, VECTOR) for c in IDS}, 32)
    alive = [c for c in IDS if c != 7]
    story = [(client, type(item).__name__) for client, item in rehearsal.heard]
    assert story == [
        *((client, "PublicKeys") for client in IDS),
        *((client, "SealedShares") for client in IDS),
        *((client, "bytes") for client in alive),
        *((client, "Attestations") for client in alive),
        *((client, "Unmask") for client in alive),
    ]
    graph = rehearsal.server.terms.graph
    for client, item in rehearsal.heard:
        if isinstance(item, PublicKeys):
            assert item.chosen == graph.holders(client)
        if isinstance(item, SealedShares):
            assert tuple(item.sealed) == graph.holders(client)
        if isinstance(item, Attestations):
            assert set(item.signatures) == set(graph.owners(client)) - {7}
        if isinstance(item, Unmask):
            assert set(item.self_seed_shares) == set(graph.owners(client)) - {7}
            assert set(item.masking_key_shares) == set(graph.owners(client)) & {7}


def test_the_secrets_that_can_be_recovered() -> None:
    """The seeds of survivors and the masking key of the one lost, and not a share of the others."""
    rehearsal = play({7: LostGuarded.VECTOR})
    rehearsal.run({c: np.zeros(4, VECTOR) for c in IDS}, 32)
    keys, seeds = revealed(rehearsal)
    assert set(keys) == {7}
    assert set(seeds) == set(IDS) - {7}
    recovery = Recovery()
    secret = recovery.recover(keys[7], THRESHOLD)
    assert KeyPair.from_secret(secret).public == rehearsal.guard.roster_for(7).keys[7][1]
    for owner, shares in seeds.items():
        assert len(shares) >= THRESHOLD
        seed = recovery.recover(shares, THRESHOLD)
        assert seed == rehearsal.clients[owner]._self_seed


def revealed(
    rehearsal: GuardedRehearsal,
) -> tuple[dict[int, dict[int, bytes]], dict[int, dict[int, bytes]]]:
    """(masking key shares, self seed shares): owner -> share's index -> share."""
    keys: dict[int, dict[int, bytes]] = {}
    seeds: dict[int, dict[int, bytes]] = {}
    for client, item in rehearsal.heard:
        if isinstance(item, Unmask):
            index = rehearsal.server.terms.position(client)
            for owner, share in item.masking_key_shares.items():
                keys.setdefault(owner, {})[index] = share
            for owner, share in item.self_seed_shares.items():
                seeds.setdefault(owner, {})[index] = share
    return keys, seeds


@pytest.mark.parametrize("victim", IDS)
@pytest.mark.parametrize("told", range(5))
def test_told_differently_of_one_client(victim: int, told: int) -> None:
    """The attack on it: `told` of its holders hear that it is lost, the others that it survived.
    Everybody answers as far as the signatures convince; nowhere do both of its secrets come out."""
    rehearsal = up_to_vectors()
    server = rehearsal.server
    holders = server.terms.graph.holders(victim)
    lied_to = set(holders[:told])
    words: dict[int, dict[int, bytes]] = {}
    for client, party in rehearsal.guarded.items():
        survivors = server.survivors_for(client)
        if client in lied_to:
            alive = tuple(c for c in survivors.clients if c != victim)
            survivors = replace(survivors, clients=alive)
        said = party.sign(survivors)
        assert isinstance(said, Attestations)
        for owner, signature in said.signatures.items():
            words.setdefault(owner, {})[client] = signature
    keys, seeds, silent = 0, 0, set()
    for client, party in rehearsal.guarded.items():
        message = over_the_wire(Signatures(SUM.round, SUM.attempt, words.get(client, {})))
        try:
            answer = party.unmask(message)
        except ProtocolError:
            silent.add(client)
            continue
        keys += victim in answer.masking_key_shares
        seeds += victim in answer.self_seed_shares
    assert not (keys >= THRESHOLD and seeds >= THRESHOLD)
    assert keys + seeds <= len(holders)
    # As soon as its key comes out it is silent, because too few vouch for it.
    if keys >= THRESHOLD - 1:
        assert victim in silent


def test_a_client_with_too_few_left_of_those_it_chose_stops() -> None:
    """At each of the four steps on which it is told who is there."""
    rehearsal = play()
    rehearsal.keys()
    me = rehearsal.guarded[11]
    good = rehearsal.guard.roster_for(11)
    chosen = rehearsal.clients[11].terms.graph.holders(11)
    gone = set(chosen[:2])

    def thinned(roster: Roster) -> Roster:
        return replace(
            roster,
            keys={c: k for c, k in roster.keys.items() if c not in gone},
            signatures={c: s for c, s in roster.signatures.items() if c not in gone},
            chosen={c: s for c, s in roster.chosen.items() if c not in gone},
        )

    with pytest.raises(ProtocolError, match="2 holders of shares are fewer than the threshold 3"):
        me.receive_roster(thinned(good))
    rehearsal.shares()
    delivery = rehearsal.server.delivery_for(11)
    fewer = replace(
        delivery,
        sealed={c: s for c, s in delivery.sealed.items() if c not in gone},
        present=tuple(c for c in delivery.present if c not in gone),
    )
    with pytest.raises(ProtocolError, match="delivery: 2 holders"):
        me.receive_delivery(fewer)
    rehearsal.vectors({c: np.zeros(4, VECTOR) for c in IDS}, 32)
    alive = tuple(c for c in rehearsal.server.survivors_for(11).clients if c not in gone)
    with pytest.raises(ProtocolError, match="survivors: 2 holders"):
        me.sign(Survivors(SUM.round, SUM.attempt, alive))
    rehearsal.sign()
    shown = rehearsal.guard.signatures_for(11)
    left = dict(list(shown.signatures.items())[:2])
    with pytest.raises(ProtocolError, match="2 are fewer than the threshold 3"):
        me.unmask(replace(shown, signatures=left))
    assert me.unmask(shown).self_seed_shares


def test_a_claim_that_someone_chose_it_costs_a_client_nothing() -> None:
    """The coordinator hides from a client that another chose it: their common mask then stays in
    the other's vector for good, and the sum is of no use to anybody."""
    rehearsal = play()
    rehearsal.keys()
    hidden, me = 3, 11
    for client, party in rehearsal.guarded.items():
        roster = rehearsal.guard.roster_for(client)
        if client == me:
            assert me in rehearsal.server.terms.graph.holders(hidden)
            roster = replace(
                roster,
                keys={c: k for c, k in roster.keys.items() if c != hidden},
                signatures={c: s for c, s in roster.signatures.items() if c != hidden},
                chosen={c: s for c, s in roster.chosen.items() if c != hidden},
            )
        party.receive_roster(roster)
        rehearsal.server.receive_shares(client, party.share(b""))
    rehearsal.server.close_shares()
    delivery = rehearsal.server.delivery_for(me)
    with pytest.raises(ProtocolError, match=f"client {hidden} has no place"):
        rehearsal.guarded[me].receive_delivery(delivery)
    sealed = {c: s for c, s in delivery.sealed.items() if c != hidden}
    rehearsal.guarded[me].receive_delivery(replace(delivery, sealed=sealed))
    assert hidden not in rehearsal.clients[me]._peers
