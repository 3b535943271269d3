"""The property that everything else is for: the sum under masks is the plain sum, exactly."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ProtocolError, TooFewSurvivors
from protocol.messages import Plan
from protocol.secagg import cost
from protocol.secagg.keys import Randomness, Sum
from protocol.secagg.masks import Keystream
from protocol.secagg.rehearsal import Lost, Rehearsal
from protocol.secagg.ring import RING_BITS, FixedPoint, Words, word_type
from protocol.secagg.server import Phase
from protocol.secagg.terms import Terms
from protocol.secagg.threshold import default_threshold
from protocol.work import Operation

SUM = Sum(b"session-16-bytes", 3, 1)


def seeded(seed: int) -> Callable[[int], Randomness]:
    """Each client's own repeatable randomness (tests only)."""

    def source(client: int) -> Randomness:
        count = 0

        def draw(size: int) -> bytes:
            nonlocal count
            count += 1
            return hashlib.shake_256(f"{seed}/{client}/{count}".encode()).digest(size)

        return draw

    return source


def random_vectors(ids: tuple[int, ...], length: int, bits: int, seed: int) -> dict[int, Words]:
    generator = np.random.default_rng(seed)
    return {
        client: generator.integers(0, 2**63, length, np.uint64).astype(word_type(bits))
        for client in ids
    }


@st.composite
def schedules(draw: st.DrawFn) -> tuple[tuple[int, ...], int, dict[int, Lost]]:
    """Participants, threshold, and who is lost when, with at least threshold-many to the end."""
    ids = draw(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=9, unique=True))
    clients = tuple(sorted(ids))
    threshold = draw(st.integers(2, len(clients)))
    dropped = draw(
        st.lists(st.sampled_from(clients), unique=True, max_size=len(clients) - threshold)
    )
    return clients, threshold, {client: draw(st.sampled_from(Lost)) for client in dropped}


@settings(max_examples=60)
@given(
    schedule=schedules(),
    bits=st.sampled_from(RING_BITS),
    length=st.integers(1, 300),
    seed=st.integers(0, 2**32),
    keystream=st.sampled_from(list(Keystream)),
)
def test_the_masked_sum_is_the_plain_sum(
    schedule: tuple[tuple[int, ...], int, dict[int, Lost]],
    bits: int,
    length: int,
    seed: int,
    keystream: Keystream,
) -> None:
    clients, threshold, lost = schedule
    vectors = random_vectors(clients, length, bits, seed)
    plain = {client: words.copy() for client, words in vectors.items()}
    terms = Terms.complete(SUM, clients, threshold)
    rehearsal = Rehearsal(Terms(SUM, terms.graph, threshold, keystream), seeded(seed), lost)
    total = rehearsal.run(vectors, bits)
    survivors = [c for c in clients if lost.get(c, Lost.UNMASK) is Lost.UNMASK]
    expected = sum((plain[c] for c in survivors), np.zeros(length, word_type(bits)))
    assert ((total ^ expected) & word_type(bits).type(2**bits - 1) == 0).all()
    assert rehearsal.server.phase is Phase.DONE
    for client in survivors:
        assert (vectors[client] != plain[client]).any()


@settings(max_examples=40)
@given(
    clients=st.integers(2, 8),
    data=st.data(),
    when=st.sampled_from(Lost),
)
def test_one_too_few_ends_the_sum_with_a_clear_error(
    clients: int, data: st.DataObject, when: Lost
) -> None:
    threshold = data.draw(st.integers(2, clients))
    ids = tuple(range(clients))
    gone = data.draw(st.permutations(ids))[: clients - threshold + 1]
    terms = Terms.complete(SUM, ids, threshold)
    rehearsal = Rehearsal(terms, seeded(1), dict.fromkeys(gone, when))
    with pytest.raises(TooFewSurvivors, match=f"{threshold - 1} clients are left"):
        rehearsal.run(random_vectors(ids, 4, 32, 0), 32)
    assert rehearsal.server.phase.value == when.value  # still in the phase that could not be closed


@pytest.mark.parametrize("bits", RING_BITS)
def test_floats_in_floats_out(bits: int) -> None:
    """From updates to their weighted mean, with a client lost in each phase."""
    ids = tuple(range(10))
    ring = FixedPoint(1.0, bits, 8, 10)
    generator = np.random.default_rng(5)
    updates = {c: generator.normal(0, 0.2, 400).astype(np.float32) for c in ids}
    weights = {c: 1 + c % 8 for c in ids}
    words = {c: np.empty(400, ring.word) for c in ids}
    for client in ids:
        ring.quantise(updates[client], weights[client], words[client])
    lost = {0: Lost.KEYS, 4: Lost.SHARES, 5: Lost.VECTOR, 9: Lost.UNMASK}
    rehearsal = Rehearsal(Terms.complete(SUM, ids, 6), seeded(2), lost)
    total = ring.dequantise(rehearsal.run(words, bits))
    survivors = [c for c in ids if c not in (0, 4, 5)]
    exact = sum(weights[c] * np.clip(updates[c].astype(np.float64), -1, 1) for c in survivors)
    np.testing.assert_allclose(total, exact, rtol=0, atol=len(survivors) * ring.step / 2 + 1e-9)


def test_notes_reach_every_peer_and_sizes_tell_nothing() -> None:
    ids = (2, 5, 11)
    rehearsal = Rehearsal(Terms.complete(SUM, ids, 2), seeded(3))
    rehearsal.keys()
    rehearsal.shares(note=b"12.5 s")
    rehearsal.vectors(random_vectors(ids, 4, 32, 0), 32)
    assert rehearsal.notes[5] == {2: b"12.5 s", 11: b"12.5 s"}
    other = Rehearsal(Terms.complete(SUM, ids, 2), seeded(3))
    other.keys()
    other.shares(note=b"")
    assert [repr(m) for _, m in rehearsal.heard[:6]] == [repr(m) for _, m in other.heard]
    assert b"12.5 s" not in b"".join(
        sealed
        for _, m in rehearsal.heard[3:6]
        for sealed in m.sealed.values()  # type: ignore[union-attr]
    )


def test_the_default_threshold_survives_a_third() -> None:
    ids = tuple(range(20))
    threshold = default_threshold(20)
    assert threshold == 14
    lost = dict.fromkeys(range(6), Lost.VECTOR)
    vectors = random_vectors(ids, 8, 32, 0)
    plain = sum((vectors[c] for c in range(6, 20)), np.zeros(8, "<u4"))
    total = Rehearsal(Terms.complete(SUM, ids, threshold), seeded(1), lost).run(vectors, 32)
    assert (total == plain).all()


def test_costs_are_those_of_the_work_done() -> None:
    """Each machine's tally against counts worked out by hand for n = 5, t = 3, one lost."""
    ids = tuple(range(5))
    rehearsal = Rehearsal(Terms.complete(SUM, ids, 3), seeded(1), {4: Lost.VECTOR})
    client = rehearsal.clients[0]
    rehearsal.keys()
    assert client.tally == cost.advertise() == {Operation.KEY_AGREEMENT: 2}
    client.receive_roster(rehearsal.server.roster_for(0))
    assert client.tally == cost.receive_roster(4) == {Operation.KEY_AGREEMENT: 8}
    assert client.share_cost() == cost.share(5, 4, 3)
    message = client.share(b"")
    assert client.tally == cost.share(5, 4, 3)
    assert client.tally[Operation.FIELD_MULTIPLICATION] == 2 * 5 * 2
    assert client.tally[Operation.SEALED_BYTE] == sum(len(s) - 16 for s in message.sealed.values())
    again = Rehearsal(Terms.complete(SUM, ids, 3), seeded(1), {4: Lost.VECTOR})
    again.keys()
    again.shares()
    vectors = random_vectors(ids, 100, 32, 0)
    total = again.vectors(vectors, 32)
    assert again.clients[0].tally == {Operation.MASK_BYTE: 5 * 400}
    again.unmask(total)
    # Weights 2·3², then 3 for each of five secrets; the lost key checked, four masks agreed on.
    assert again.server.tally == {
        Operation.FIELD_MULTIPLICATION: 18 + 5 * 3,
        Operation.KEY_AGREEMENT: 1 + 4,
    }
    assert total.tally == {Operation.MASK_BYTE: (4 + 4) * 400}
    assert cost.quantise(100) == {Operation.QUANTISED_VALUE: 100}


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        (Plan(1, 1, (1, 2, 3), "plain", 0), "plain aggregation sets no secure sum"),
        (Plan(1, 1, (1, 2, 3), "secagg", 1), "below 2"),
        (Plan(1, 1, (1, 2, 3), "secagg", 4), "more than the 3 participants"),
        (Plan(1, 1, (1,), "secagg", 2), "at least two"),
        (Plan(1, 1, (2, 1), "secagg", 2), "must ascend"),
        (Plan(1, 1, (1, 2**32), "secagg", 2), "32 bits"),
        (Plan(0, 1, (1, 2), "secagg", 2), "count from 1"),
    ],
)
def test_plans_that_set_no_safe_sum_are_refused(plan: Plan, rule: str) -> None:
    with pytest.raises(ProtocolError, match=rule):
        Terms.of_plan(bytes(16), plan)


def test_a_plan_sets_the_terms() -> None:
    terms = Terms.of_plan(SUM.session, Plan(3, 1, (4, 6, 9), "secagg", 2))
    assert terms.sum == SUM
    assert [terms.position(client) for client in (4, 6, 9)] == [1, 2, 3]
    assert terms.graph.neighbours(6) == (4, 9)
