"""Masks expanded beforehand: the same vector in the end, one only, and nothing before its turn."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from protocol.errors import LocalError
from protocol.secagg.graph import CompleteGraph
from protocol.secagg.keys import Sum
from protocol.secagg.prepared import PreparedMask
from protocol.secagg.rehearsal import Rehearsal
from protocol.secagg.ring import RING_BITS, Words, word_type
from protocol.secagg.terms import Terms
from protocol.work import Operation

CLIENTS = 4
LENGTH = 70_000
"""More than one chunk."""


def delivered(fill: int = 7) -> Rehearsal:
    """Fleets with the same keys: everyone has its deliveries and may mask."""
    drawn = iter(range(10**6))
    terms = Terms(Sum(bytes(16), 1, 1), CompleteGraph(range(CLIENTS)), 3)
    fleet = Rehearsal(
        terms, lambda client: lambda size: (next(drawn) * 256 + fill).to_bytes(size, "little")
    )
    fleet.keys()
    fleet.shares()
    for client, machine in fleet.clients.items():
        machine.receive_delivery(fleet.server.delivery_for(client))
    return fleet


def words_of(client: int, bits: int = 32) -> Words:
    drawn = np.random.default_rng(client).integers(0, 2**16, LENGTH)
    return drawn.astype(word_type(bits))


@pytest.mark.parametrize("bits", RING_BITS)
def test_the_masked_vector_is_the_same_to_the_bit(bits: int) -> None:
    machine, again = delivered().clients[1], delivered().clients[1]
    directly, ahead = words_of(1, bits), words_of(1, bits)
    machine.mask(directly, 0)
    prepared = PreparedMask(again, LENGTH, bits)
    assert prepared.cost() == {Operation.MASK_BYTE: CLIENTS * directly.nbytes}
    prepared.expand()
    prepared.add_to(ahead)
    np.testing.assert_array_equal(ahead, directly)
    assert not np.array_equal(ahead, words_of(1, bits))


def expanded() -> PreparedMask:
    prepared = PreparedMask(delivered().clients[0], LENGTH, 32)
    prepared.expand()
    return prepared


def used() -> PreparedMask:
    prepared = expanded()
    prepared.add_to(words_of(0))
    return prepared


def adding(words: Words) -> Callable[[PreparedMask], object]:
    return lambda prepared: prepared.add_to(words)


REFUSALS: list[tuple[Callable[[], PreparedMask], Callable[[PreparedMask], object], str]] = [
    # how it was before, what is asked, the rule
    (lambda: PreparedMask(delivered().clients[0], LENGTH, 32), adding(words_of(0)), "expanded"),
    (expanded, adding(words_of(0)[1:]), "are for 70000 words"),
    (expanded, adding(words_of(0, 64)), "are for 70000 words of uint32"),
    (expanded, PreparedMask.expand, "must go on at 70000, not at 0"),
    (used, adding(words_of(1)), "have been used"),
    (used, PreparedMask.expand, "have been used"),
    (used, PreparedMask.cost, "have been used"),
]


@pytest.mark.parametrize(("state", "step", "rule"), REFUSALS)
def test_out_of_turn(
    state: Callable[[], PreparedMask], step: Callable[[PreparedMask], object], rule: str
) -> None:
    prepared = state()
    with pytest.raises(LocalError, match=rule):
        step(prepared)


@pytest.mark.parametrize("words", [words_of(0)[1:], words_of(0, 64)])
def test_a_refusal_changes_nothing(words: Words) -> None:
    prepared, before, fitting = expanded(), words.copy(), words_of(0)
    with pytest.raises(LocalError, match="are for 70000 words"):
        prepared.add_to(words)
    np.testing.assert_array_equal(words, before)
    prepared.add_to(fitting)
    assert not np.array_equal(fitting, words_of(0))


def test_a_machine_that_has_masked_prepares_nothing() -> None:
    machine = delivered().clients[0]
    machine.mask(words_of(0), 0)
    prepared = PreparedMask(machine, LENGTH, 32)
    with pytest.raises(LocalError, match="must go on at 70000"):
        prepared.expand()
    with pytest.raises(LocalError, match="not been expanded"):
        prepared.add_to(words_of(0))


def test_it_holds_one_vector_however_many_peers_and_lets_go_of_it() -> None:
    machine, length = delivered().clients[0], 2_000_000
    words = np.zeros(length, "<u4")
    tracemalloc.start()
    try:
        prepared = PreparedMask(machine, length, 32)
        prepared.expand()
        prepared.add_to(words)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < words.nbytes + 2**21
    assert held < 2**21
    assert words.any()
