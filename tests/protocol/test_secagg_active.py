"""Against an active coordinator: signed keys, one signed list of survivors, and what they stop."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.identity import Identity
from protocol.messages import Consistency, PublicKeys, Roster, Signatures, Survivors
from protocol.secagg import cost
from protocol.secagg.active import SignedClient, SignedServer
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.client import ClientMachine
from protocol.secagg.keys import Randomness, Sum
from protocol.secagg.packing import pack
from protocol.secagg.pinned import Pinned
from protocol.secagg.regular_graph import RegularGraph
from protocol.secagg.rehearsal import over_the_wire
from protocol.secagg.server import ServerMachine
from protocol.secagg.shares import Recovery
from protocol.secagg.terms import Terms
from protocol.work import Operation

IDS = (1, 2, 3, 4, 5, 6, 7)
THRESHOLD = 5  # 2 · 5 > 7 + 2
CORRUPT = 2
SUM = Sum(b"session-16-bytes", 7, 2)
IDENTITIES = {client: Identity(bytes([client]) * 32) for client in (*IDS, 9)}
PUBLIC = {client: identity.public for client, identity in IDENTITIES.items()}
WORDS = 20


def source(client: int) -> Randomness:
    return np.random.default_rng(client).bytes


class Scene:
    """A signed sum of seven, brought up to the list of survivors by `until`."""

    def __init__(self, until: str = "survivors", lost: tuple[int, ...] = ()) -> None:
        terms = Terms.complete(SUM, IDS, THRESHOLD)
        self.pinned = Pinned(terms, PUBLIC, CORRUPT)
        self.server = SignedServer(ServerMachine(terms), self.pinned)
        self.clients = {
            c: SignedClient(ClientMachine(c, terms, source(c)), IDENTITIES[c], self.pinned)
            for c in IDS
        }
        generator = np.random.default_rng(0)
        self.plain = {c: generator.integers(0, 2**32, WORDS, np.uint32) for c in IDS}
        self.total = Aggregate(WORDS, 32)
        self.alive = [c for c in IDS if c not in lost]
        for client in IDS:
            message = over_the_wire(self.clients[client].advertise())
            self.server.receive_keys(client, message)
        self.server.machine.close_keys()
        if until == "roster":
            return
        for client in IDS:
            self.clients[client].receive_roster(over_the_wire(self.server.roster_for(client)))
            self.server.machine.receive_shares(client, self.clients[client].share(b"note"))
        self.server.machine.close_shares()
        for client in IDS:
            delivery = self.server.machine.delivery_for(client)
            assert len(self.clients[client].receive_delivery(delivery)) == len(IDS) - 1
            words = self.plain[client].copy()
            self.clients[client].mask(words, 0)
            if client in self.alive:
                self.total.add(pack(words, 32))
                self.server.machine.vector_added(client)
        self.server.machine.close_vectors()

    def sign(self) -> None:
        for client in self.alive:
            survivors = self.server.machine.survivors_for(client)
            message = over_the_wire(self.clients[client].sign(survivors))
            self.server.receive_consistency(client, message)


def test_the_sum_comes_out_with_clients_lost() -> None:
    scene = Scene(lost=(2,))
    scene.sign()
    for client in scene.server.close_consistency():
        signatures = over_the_wire(scene.server.signatures_for(client))
        scene.server.machine.receive_unmask(client, scene.clients[client].unmask(signatures))
    scene.total.remove(scene.server.machine.close_unmasking())
    expected = sum((scene.plain[c] for c in scene.alive), np.zeros(WORDS, np.uint32))
    assert (scene.total.words == expected).all()


def test_costs_name_signatures_and_verifications() -> None:
    scene = Scene("roster")
    client = scene.clients[1]
    assert client.tally == {
        Operation.KEY_AGREEMENT: 2,
        Operation.SIGNATURE: 1,
        Operation.VERIFICATION: 0,
    }
    client.receive_roster(scene.server.roster_for(1))
    assert client.tally[Operation.VERIFICATION] == 7
    assert client.share_cost() == cost.share(7, 6, THRESHOLD)
    scene = Scene()
    words = np.zeros(4, "<u4")
    assert scene.clients[1].mask_cost(words) == {Operation.MASK_BYTE: 7 * 16}
    scene.sign()
    assert scene.clients[1].tally[Operation.SIGNATURE] == 1
    scene.server.close_consistency()
    scene.clients[1].unmask(scene.server.signatures_for(1))
    assert scene.clients[1].tally[Operation.VERIFICATION] == 7


def swapped(roster: Roster, client: int, keys: tuple[bytes, bytes]) -> Roster:
    return replace(roster, keys={**roster.keys, client: keys})


def other_signature(
    signer: int, client: int, sum_: Sum, threshold: int, training: bytes = b""
) -> bytes:
    """A signature of client 3's keys made elsewhere or by someone else."""
    terms = replace(Terms.complete(sum_, IDS, threshold), training=training)
    pinned = Pinned(terms, PUBLIC, 0)
    keys = Scene("roster").server.machine.roster_for(1).keys[3]
    return IDENTITIES[signer].sign(pinned.keys_statement(client, keys))


def resigned(roster: Roster, signature: bytes) -> Roster:
    return replace(roster, signatures={**roster.signatures, 3: signature})


ROSTERS: dict[str, Callable[[Roster], Roster]] = {
    "a key replaced": lambda r: swapped(r, 3, (b"x" * 32, r.keys[3][1])),
    "keys swapped": lambda r: swapped(r, 3, (r.keys[3][1], r.keys[3][0])),
    "another client's keys": lambda r: swapped(r, 3, r.keys[4]),
    "a signature left out": lambda r: replace(
        r, signatures={c: s for c, s in r.signatures.items() if c != 3}
    ),
    "no signatures": lambda r: replace(r, signatures={}),
    "an invented client": lambda r: replace(
        r,
        keys={**r.keys, 8: (b"x" * 32, b"y" * 32)},
        signatures={**r.signatures, 8: bytes(64)},
    ),
    "a signature damaged": lambda r: resigned(r, bytes(64)),
    "another's signature": lambda r: resigned(r, other_signature(4, 3, SUM, THRESHOLD)),
    "a signature for another id": lambda r: resigned(r, other_signature(3, 4, SUM, THRESHOLD)),
    "a signature of another round": lambda r: resigned(
        r, other_signature(3, 3, Sum(SUM.session, 6, 2), THRESHOLD)
    ),
    "a signature of another attempt": lambda r: resigned(
        r, other_signature(3, 3, Sum(SUM.session, 7, 1), THRESHOLD)
    ),
    "a signature of another session": lambda r: resigned(
        r, other_signature(3, 3, Sum(b"another-session-", 7, 2), THRESHOLD)
    ),
    "a signature of one that trains something else": lambda r: resigned(
        r, other_signature(3, 3, SUM, THRESHOLD, training=bytes(32))
    ),
    "a signature under another threshold": lambda r: resigned(
        r, other_signature(3, 3, SUM, THRESHOLD + 1)
    ),
}


@pytest.mark.parametrize("change", ROSTERS.values(), ids=ROSTERS.keys())
def test_rosters_that_are_refused(change: Callable[[Roster], Roster]) -> None:
    scene = Scene("roster")
    good = scene.server.roster_for(1)
    with pytest.raises(ProtocolError):
        scene.clients[1].receive_roster(change(good))
    scene.clients[1].receive_roster(good)  # nothing was changed by the refusal
    assert resigned(good, other_signature(3, 3, SUM, THRESHOLD)) == good


def test_two_lists_of_survivors_open_nothing() -> None:
    """The attack that the signatures stop: one half is told that client 4 is lost, the other that
    it is alive. Without them both its secrets come out; with them neither half says anything."""
    halves = {(1, 2, 3): (1, 2, 3, 5, 6, 7), (5, 6, 7): (1, 2, 3, 4, 5, 6, 7)}
    scene = Scene()
    signed = {
        client: scene.clients[client].sign(Survivors(7, 2, alive)).signature
        for group, alive in halves.items()
        for client in group
    }
    for group in halves:
        for client in group:
            for shown in (signed, {c: signed[c] for c in group}):
                with pytest.raises(ProtocolError):
                    scene.clients[client].unmask(Signatures(7, 2, shown))
    # The semi-honest machine, with a threshold that an active coordinator breaks:
    terms = Terms.complete(SUM, IDS, 3)
    machines = {c: ClientMachine(c, terms, source(c)) for c in IDS}
    server = ServerMachine(terms)
    for client in IDS:
        server.receive_keys(client, machines[client].advertise())
    server.close_keys()
    for client in IDS:
        machines[client].receive_roster(server.roster_for(client))
        server.receive_shares(client, machines[client].share(b""))
    server.close_shares()
    keys, seeds = {}, {}
    for client in IDS:
        machines[client].receive_delivery(server.delivery_for(client))
        machines[client].mask(np.zeros(WORDS, "<u4"), 0)
    for group, alive in halves.items():
        for client in group:
            answer = machines[client].unmask(Survivors(7, 2, alive))
            index = terms.position(client)
            if 4 in answer.masking_key_shares:
                keys[index] = answer.masking_key_shares[4]
            else:
                seeds[index] = answer.self_seed_shares[4]
    own = machines[4]._own
    assert own is not None
    assert Recovery().recover(keys, 3) == own.masking.secret
    assert Recovery().recover(seeds, 3) == machines[4]._self_seed


def signatures(scene: Scene) -> Signatures:
    scene.sign()
    scene.server.close_consistency()
    return scene.server.signatures_for(1)


def outsider() -> bytes:
    """Client 9 has a pinned identity and no part in the sum, but signs the right list."""
    pinned = Pinned(Terms.complete(SUM, IDS, THRESHOLD), PUBLIC, CORRUPT)
    keys = Scene("roster").server.machine.roster_for(1).keys
    alive = {client: keys[client] for client in (1, 3, 4, 5, 6, 7)}
    return IDENTITIES[9].sign(pinned.survivors_statement(alive))


SIGNATURES: dict[str, Callable[[Signatures], Signatures]] = {
    "too few": lambda m: replace(m, signatures={c: m.signatures[c] for c in (1, 3, 4, 5)}),
    "none": lambda m: replace(m, signatures={}),
    "one damaged": lambda m: replace(m, signatures={**m.signatures, 3: bytes(64)}),
    "one under another's name": lambda m: replace(
        m, signatures={**m.signatures, 3: m.signatures[4]}
    ),
    "one of a lost client": lambda m: replace(m, signatures={**m.signatures, 2: m.signatures[3]}),
    "one of a stranger": lambda m: replace(m, signatures={**m.signatures, 9: m.signatures[3]}),
    "a good one of one that is no survivor": lambda m: replace(
        m, signatures={**m.signatures, 9: outsider()}
    ),
    "another round": lambda m: replace(m, round=6),
    "another attempt": lambda m: replace(m, attempt=1),
}


@pytest.mark.parametrize("change", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_signatures_that_are_refused(change: Callable[[Signatures], Signatures]) -> None:
    scene = Scene(lost=(2,))
    good = signatures(scene)
    with pytest.raises(ProtocolError):
        scene.clients[1].unmask(change(good))
    assert sorted(scene.clients[1].unmask(good).masking_key_shares) == [2]


def test_a_signature_of_a_list_is_none_of_another() -> None:
    scene = Scene()
    keys = Scene("roster").server.machine.roster_for(1).keys
    other = scene.pinned.survivors_statement({client: keys[client] for client in (1, 2, 3, 4, 5)})
    forged = {c: IDENTITIES[c].sign(other) for c in IDS}
    scene.clients[1].sign(scene.server.machine.survivors_for(1))
    with pytest.raises(ProtocolError, match="does not match"):
        scene.clients[1].unmask(Signatures(7, 2, forged))


def test_one_list_is_signed_and_one_answer_given() -> None:
    scene = Scene()
    with pytest.raises(ProtocolError, match="no list"):
        scene.clients[1].unmask(Signatures(7, 2, {}))
    with pytest.raises(ProtocolError, match="itself"):
        scene.clients[1].sign(Survivors(7, 2, (2, 3, 4, 5, 6)))
    good = signatures(scene)
    with pytest.raises(ProtocolError, match="signed already"):
        scene.clients[1].sign(Survivors(7, 2, (1, 2, 3, 4, 5)))
    scene.clients[1].unmask(good)
    with pytest.raises(ProtocolError, match="once only"):
        scene.clients[1].unmask(good)


def test_the_coordinator_keeps_bad_signatures_from_the_others() -> None:
    scene = Scene("roster")
    fresh = SignedServer(ServerMachine(Terms.complete(SUM, IDS, THRESHOLD)), scene.pinned)
    keys = PublicKeys(7, 2, *scene.server.machine.roster_for(1).keys[1], b"")
    for client, message in (
        (1, keys),
        (1, replace(keys, signature=bytes(64))),
        (8, replace(keys, signature=bytes(64))),
    ):
        with pytest.raises(ProtocolError):
            fresh.receive_keys(client, message)
    with pytest.raises(ProtocolError, match="not due"):
        fresh.receive_consistency(1, Consistency(7, 2, bytes(64)))
    with pytest.raises(LocalError, match="cannot be closed"):
        fresh.close_consistency()


def test_lists_that_the_coordinator_refuses() -> None:
    scene = Scene(lost=(2,))
    survivors = scene.server.machine.survivors_for(1)
    good = scene.clients[1].sign(survivors)
    for client, message in (
        (1, replace(good, round=6)),
        (1, replace(good, attempt=1)),
        (1, replace(good, signature=bytes(64))),
        (3, good),
        (2, good),
        (9, good),
    ):
        with pytest.raises(ProtocolError):
            scene.server.receive_consistency(client, message)
    with pytest.raises(LocalError, match="no signatures"):
        scene.server.signatures_for(1)
    scene.server.receive_consistency(1, good)
    with pytest.raises(ProtocolError, match="before"):
        scene.server.receive_consistency(1, good)
    with pytest.raises(TooFewSurvivors, match="1 clients signed"):
        scene.server.close_consistency()
    for client in (3, 4, 5, 6):
        message = scene.clients[client].sign(survivors)
        scene.server.receive_consistency(client, message)
    assert scene.server.close_consistency() == {1, 3, 4, 5, 6}
    with pytest.raises(ProtocolError, match="not due"):
        scene.server.receive_consistency(7, scene.clients[7].sign(survivors))
    with pytest.raises(LocalError, match="no signatures"):
        scene.server.signatures_for(7)
    with pytest.raises(LocalError, match="cannot be closed"):
        scene.server.close_consistency()


def test_what_must_be_known_beforehand() -> None:
    terms = Terms.complete(SUM, IDS, THRESHOLD)
    with pytest.raises(LocalError, match="client 7 has no pinned"):
        Pinned(terms, {c: PUBLIC[c] for c in IDS[:-1]}, CORRUPT)
    with pytest.raises(LocalError, match="one pinned identity"):
        Pinned(terms, {**PUBLIC, 7: PUBLIC[1]}, CORRUPT)
    with pytest.raises(LocalError, match=r"must exceed \(participants \+ corrupt\) / 2"):
        Pinned(terms, PUBLIC, 3)
    graph = RegularGraph(IDS, 6, IDS)
    with pytest.raises(LocalError, match="must be complete"):
        Pinned(Terms(SUM, graph, THRESHOLD), PUBLIC, 0)
    with pytest.raises(ProtocolError, match="client 8 has no pinned"):
        Pinned(terms, PUBLIC, CORRUPT).verify(8, b"", bytes(64))
