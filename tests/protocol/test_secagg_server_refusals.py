"""Every illegal event of the server machine has its row. A refusal changes nothing."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.messages import PublicKeys, SealedShares, Unmask
from protocol.secagg.keys import Sum
from protocol.secagg.regular_graph import RegularGraph
from protocol.secagg.rehearsal import Lost, Rehearsal
from protocol.secagg.ring import Words
from protocol.secagg.server import Phase, ServerMachine
from protocol.secagg.terms import Terms
from protocol.sizes import SEALED_BYTES
from protocol.work import Operation

IDS = (1, 2, 3, 4, 5)
SUM = Sum(b"session-16-bytes", 7, 2)


class Source:
    def __init__(self, client: int) -> None:
        self._state = np.random.default_rng(client)

    def __call__(self, size: int) -> bytes:
        return self._state.bytes(size)


class Scene:
    """A sum of five with threshold 3. Client 5 never sends its vector; in each phase clients 2 and
    up have sent, client 1 has not: `keys`, `shares` and `answer` are what it would send."""

    def __init__(self, phase: Phase) -> None:
        fleet = self.fleet = Rehearsal(Terms.complete(SUM, IDS, 3), Source)
        self.server = fleet.server
        self.keys = fleet.clients[1].advertise()
        self.shares = SealedShares(7, 2, {c: bytes(SEALED_BYTES) for c in IDS if c != 1})
        self.answer = Unmask(7, 2, {5: bytes(32)}, {c: bytes(32) for c in IDS if c != 5})
        for client in IDS[1:]:
            self.server.receive_keys(client, fleet.clients[client].advertise())
        if phase is Phase.KEYS:
            return
        self.server.receive_keys(1, self.keys)
        self.server.close_keys()
        for client in IDS:
            fleet.clients[client].receive_roster(self.server.roster_for(client))
        self.shares = fleet.clients[1].share(b"")
        for client in IDS[1:]:
            self.server.receive_shares(client, fleet.clients[client].share(b""))
        if phase is Phase.SHARES:
            return
        self.server.receive_shares(1, self.shares)
        self.server.close_shares()
        for client in IDS:
            fleet.clients[client].receive_delivery(self.server.delivery_for(client))
            fleet.clients[client].mask(np.zeros(8, "<u4"), 0)
        for client in (2, 3, 4):
            self.server.vector_added(client)
        if phase is Phase.VECTORS:
            return
        self.server.vector_added(1)
        self.server.close_vectors()
        self.answer = fleet.clients[1].unmask(self.server.survivors_for(1))
        for client in (2, 3, 4):
            answer = fleet.clients[client].unmask(self.server.survivors_for(client))
            self.server.receive_unmask(client, answer)
        if phase is Phase.DONE:
            self.server.close_unmasking()


def refused(server: ServerMachine, error: type[Exception], action: Callable[[], object]) -> str:
    before = deepcopy(vars(server))
    with pytest.raises(error) as refusal:
        action()
    after = dict(vars(server))
    before.pop("terms"), after.pop("terms")
    assert after == before
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


ARRIVALS: dict[str, tuple[Phase, Callable[[Scene], object]]] = {
    "keys": (Phase.KEYS, lambda s: s.server.receive_keys(1, s.keys)),
    "shares": (Phase.SHARES, lambda s: s.server.receive_shares(1, s.shares)),
    "a vector": (Phase.VECTORS, lambda s: s.server.vector_added(1)),
    "an answer": (Phase.UNMASKING, lambda s: s.server.receive_unmask(1, s.answer)),
}
CLOSINGS: dict[str, tuple[Phase, Callable[[Scene], object]]] = {
    "keys": (Phase.KEYS, lambda s: s.server.close_keys()),
    "shares": (Phase.SHARES, lambda s: s.server.close_shares()),
    "vectors": (Phase.VECTORS, lambda s: s.server.close_vectors()),
    "unmasking": (Phase.UNMASKING, lambda s: s.server.close_unmasking()),
}
READINGS: dict[str, tuple[Phase, Callable[[Scene], object]]] = {
    "roster": (Phase.SHARES, lambda s: s.server.roster_for(2)),
    "delivery": (Phase.VECTORS, lambda s: s.server.delivery_for(2)),
    "survivors": (Phase.UNMASKING, lambda s: s.server.survivors_for(2)),
}


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize(("due", "arrive"), ARRIVALS.values(), ids=ARRIVALS.keys())
def test_every_arrival_in_every_phase(
    due: Phase, arrive: Callable[[Scene], object], phase: Phase
) -> None:
    """Too early and too late are their fault."""
    scene = Scene(phase)
    if phase is due:
        arrive(scene)
        assert "second time" in refused(scene.server, ProtocolError, lambda: arrive(scene))
    else:
        assert "not due" in refused(scene.server, ProtocolError, lambda: arrive(scene))


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize(("due", "close"), CLOSINGS.values(), ids=CLOSINGS.keys())
def test_every_closing_in_every_phase(
    due: Phase, close: Callable[[Scene], object], phase: Phase
) -> None:
    """Closing out of turn is our own fault."""
    scene = Scene(phase)
    if phase is due:
        close(scene)
        assert scene.server.phase == phase + 1
    else:
        assert "cannot be closed" in refused(scene.server, LocalError, lambda: close(scene))


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize(("first", "read"), READINGS.values(), ids=READINGS.keys())
def test_what_a_client_is_told_is_ready_only_after_closing(
    first: Phase, read: Callable[[Scene], object], phase: Phase
) -> None:
    scene = Scene(phase)
    if first is Phase.VECTORS and phase > first:
        assert "are over" in refused(scene.server, LocalError, lambda: read(scene))
    elif phase >= first:
        assert read(scene) == read(scene)  # may be sent again after a lost connection
    else:
        assert "not ready" in refused(scene.server, LocalError, lambda: read(scene))


def keys_of(scene: Scene, client: int) -> PublicKeys:
    sealing, masking = scene.server._keys[client]
    return PublicKeys(7, 2, sealing, masking)


CONTENTS: dict[str, tuple[Phase, Callable[[Scene], object], str]] = {
    "keys of another round": (
        Phase.KEYS,
        lambda s: s.server.receive_keys(1, replace(s.keys, round=6)),
        "another round",
    ),
    "keys of another attempt": (
        Phase.KEYS,
        lambda s: s.server.receive_keys(1, replace(s.keys, attempt=1)),
        "another round or attempt",
    ),
    "keys of a stranger": (Phase.KEYS, lambda s: s.server.receive_keys(9, s.keys), "no part"),
    "keys of another client": (
        Phase.KEYS,
        lambda s: s.server.receive_keys(1, keys_of(s, 2)),
        "in use",
    ),
    "a sealing key that is another's masking key": (
        Phase.KEYS,
        lambda s: s.server.receive_keys(1, replace(s.keys, sealing=keys_of(s, 2).masking)),
        "in use",
    ),
    "one key for both uses": (
        Phase.KEYS,
        lambda s: s.server.receive_keys(1, replace(s.keys, sealing=s.keys.masking)),
        "in use",
    ),
    "shares of another round": (
        Phase.SHARES,
        lambda s: s.server.receive_shares(1, replace(s.shares, round=8)),
        "another round",
    ),
    "shares of another attempt": (
        Phase.SHARES,
        lambda s: s.server.receive_shares(1, replace(s.shares, attempt=3)),
        "another round or attempt",
    ),
    "shares of a stranger": (
        Phase.SHARES,
        lambda s: s.server.receive_shares(9, s.shares),
        "no part",
    ),
    "shares that leave a peer out": (
        Phase.SHARES,
        lambda s: s.server.receive_shares(
            1, replace(s.shares, sealed={c: b for c, b in s.shares.sealed.items() if c != 4})
        ),
        "recipients",
    ),
    "shares for a stranger": (
        Phase.SHARES,
        lambda s: s.server.receive_shares(
            1, replace(s.shares, sealed={**s.shares.sealed, 9: bytes(SEALED_BYTES)})
        ),
        "recipients",
    ),
    "shares for oneself": (
        Phase.SHARES,
        lambda s: s.server.receive_shares(
            1, replace(s.shares, sealed={**s.shares.sealed, 1: bytes(SEALED_BYTES)})
        ),
        "recipients",
    ),
    "a vector of a stranger": (Phase.VECTORS, lambda s: s.server.vector_added(9), "no part"),
    "a vector twice": (Phase.VECTORS, lambda s: s.server.vector_added(2), "second time"),
    "an answer of another round": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(1, replace(s.answer, round=1)),
        "another round",
    ),
    "an answer of another attempt": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(1, replace(s.answer, attempt=1)),
        "another round or attempt",
    ),
    "an answer of the lost": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(5, s.answer),
        "no part",
    ),
    "an answer without the lost client's share": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(1, replace(s.answer, masking_key_shares={})),
        "masking keys",
    ),
    "an answer with a survivor's masking key": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(
            1, replace(s.answer, masking_key_shares={4: bytes(32), 5: bytes(32)})
        ),
        "masking keys",
    ),
    "an answer that leaves a survivor out": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(
            1, replace(s.answer, self_seed_shares={1: bytes(32), 2: bytes(32)})
        ),
        "seeds",
    ),
    "an answer with the lost client's seed": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(
            1,
            replace(s.answer, self_seed_shares={**s.answer.self_seed_shares, 5: bytes(32)}),
        ),
        "seeds",
    ),
    "a share outside the field": (
        Phase.UNMASKING,
        lambda s: s.server.receive_unmask(
            1, replace(s.answer, masking_key_shares={5: b"\xff" * 32})
        ),
        "element",
    ),
}


@pytest.mark.parametrize(("phase", "act", "rule"), CONTENTS.values(), ids=CONTENTS.keys())
def test_contents_that_are_refused(phase: Phase, act: Callable[[Scene], object], rule: str) -> None:
    scene = Scene(phase)
    assert rule in refused(scene.server, ProtocolError, lambda: act(scene))


def test_a_client_lost_early_stays_lost() -> None:
    """Lost after keys: neither its shares nor its vector nor its answer is taken any more."""
    fleet = Rehearsal(Terms.complete(SUM, IDS, 3), Source, {1: Lost.SHARES})
    fleet.keys()
    fleet.shares()
    late = SealedShares(7, 2, {c: bytes(SEALED_BYTES) for c in IDS[1:]})
    refused(fleet.server, ProtocolError, lambda: fleet.server.receive_shares(1, late))
    assert "no part" in refused(fleet.server, ProtocolError, lambda: fleet.server.vector_added(1))
    assert "no part" in refused(fleet.server, LocalError, lambda: fleet.server.delivery_for(1))
    assert 1 not in fleet.server.delivery_for(2).sealed


def test_too_few_left_changes_nothing_and_may_be_waited_out() -> None:
    scene = Scene(Phase.KEYS)
    server = ServerMachine(scene.server.terms)
    for client in (2, 3):
        server.receive_keys(client, keys_of(scene, client))
    refused(server, TooFewSurvivors, server.close_keys)
    server.receive_keys(4, keys_of(scene, 4))
    assert server.close_keys() == {2, 3, 4}


def test_it_says_when_enough_shares_are_in() -> None:
    scene = Scene(Phase.VECTORS)
    assert not scene.server.recoverable
    scene.server.close_vectors()  # 2, 3 and 4 survive; 1 and 5 are lost
    for count, client in enumerate((2, 3, 4), start=1):
        refused_yet = scene.server.recoverable
        assert not refused_yet
        answer = scene.fleet.clients[client].unmask(scene.server.survivors_for(client))
        scene.server.receive_unmask(client, answer)
        assert scene.server.recoverable == (count == 3)


def test_what_can_be_recovered_is_told_once_and_closing_gives_the_rest() -> None:
    """Two neighbours on either side: some owners have enough before others do."""
    clients = range(1, 13)
    graph = RegularGraph.drawn(clients, 4, bytes(32), SUM)
    fleet = Rehearsal(Terms(SUM, graph, 3), Source, {7: Lost.VECTOR})
    words: dict[int, Words] = {c: np.full(5, c, "<u4") for c in clients}
    fleet.keys()
    fleet.shares()
    total, server = fleet.vectors(words, 32), fleet.server
    told: list[int] = []
    for client in sorted(server.survivors)[:-1]:
        server.receive_unmask(client, fleet.clients[client].unmask(server.survivors_for(client)))
        if client < 8:
            ready = server.take_recoverable()
            total.remove(server.masks_of(ready))
            told += ready
        if server.recoverable:
            break
    assert 0 < len(told) < 12
    total.remove(server.close_unmasking())
    assert (total.words == sum(clients) - 7).all()
    assert server.tally[Operation.KEY_AGREEMENT] == 1 + len(graph.neighbours(7))
    assert server.take_recoverable() == ()


def test_a_lie_about_a_lost_clients_key_is_noticed() -> None:
    """The recovered key must belong to the public key that was advertised."""
    scene = Scene(Phase.VECTORS)
    scene.server.close_vectors()
    for client in (2, 3, 4):
        answer = scene.fleet.clients[client].unmask(scene.server.survivors_for(client))
        if client == 3:
            lie = {owner: bytes(31) + b"\x01" for owner in answer.masking_key_shares}
            answer = replace(answer, masking_key_shares=lie)
        scene.server.receive_unmask(client, answer)
    line = refused(scene.server, ProtocolError, scene.server.close_unmasking)
    assert "masking key do not give that key" in line
