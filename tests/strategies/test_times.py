import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.times import (
    LONGEST_S,
    SHORTEST_FIT_S,
    Times,
    TimesError,
    decode_note,
    encode_note,
    read_notes,
    standing,
)

FITS = st.floats(SHORTEST_FIT_S, LONGEST_S)
NETWORKS = st.floats(0, LONGEST_S)


@given(FITS, NETWORKS)
@settings(max_examples=100)
def test_a_note_comes_back_as_it_was_sent_at_one_length(fit_s: float, network_s: float) -> None:
    note = encode_note(Times(fit_s, network_s))
    assert decode_note(note) == Times(fit_s, network_s)
    assert len(note) == 17


@given(st.binary(max_size=40))
@settings(max_examples=200)
def test_any_bytes_are_times_within_bounds_or_refused(note: bytes) -> None:
    try:
        times = decode_note(note)
    except TimesError:
        return
    assert SHORTEST_FIT_S <= times.fit_s <= LONGEST_S
    assert 0 <= times.network_s <= LONGEST_S


def raw(version: int, fit_s: float, network_s: float) -> bytes:
    return struct.pack(">Bdd", version, fit_s, network_s)


MALFORMED = {
    "short": raw(1, 1.0, 1.0)[:-1],
    "long": raw(1, 1.0, 1.0) + b"\0",
    "version": raw(2, 1.0, 1.0),
    "nan fit": raw(1, math.nan, 1.0),
    "infinite fit": raw(1, math.inf, 1.0),
    "zero fit": raw(1, 0.0, 1.0),
    "negative fit": raw(1, -1.0, 1.0),
    "endless fit": raw(1, 1e300, 1.0),
    "nan network": raw(1, 1.0, math.nan),
    "negative network": raw(1, 1.0, -1e-9),
    "endless network": raw(1, 1.0, LONGEST_S * 1.001),
}


@pytest.mark.parametrize("note", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_note_is_refused(note: bytes) -> None:
    with pytest.raises(TimesError):
        decode_note(note)


def test_malformed_notes_are_ignored_and_counted_and_empty_ones_are_no_fault() -> None:
    notes = dict(enumerate(MALFORMED.values(), start=10))
    good = Times(2.0, 1.0)
    times, ignored = read_notes({1: encode_note(good), 2: b"", **notes})
    assert times == {1: good}
    assert ignored == len(MALFORMED)


@pytest.mark.parametrize(
    ("fit_s", "network_s"), [(math.nan, 1), (math.inf, 1), (-1, 1), (1, math.nan), (1, -1)]
)
def test_what_is_no_time_cannot_be_measured(fit_s: float, network_s: float) -> None:
    with pytest.raises(TimesError):
        Times.measured(fit_s, network_s)


@given(st.floats(0, 1e300), st.floats(0, 1e300))
@settings(max_examples=50)
def test_what_one_measures_is_always_something_peers_accept(fit: float, network: float) -> None:
    times = Times.measured(fit, network)
    assert decode_note(encode_note(times)) == times


def test_targets_are_the_slowest_of_those_who_are_no_stragglers() -> None:
    fleet = {client: Times(4.0, 1.0) for client in range(8)}
    fleet[8] = Times(1.0, 4.4)  # the slowest total of the rest, but a fast fit
    fleet[9] = Times(20.0, 1.0)
    slow, rest = standing(9, fleet, 0.2, 0.1), standing(0, fleet, 0.2, 0.1)
    assert slow.straggler
    assert not rest.straggler
    assert (slow.target_total_s, slow.target_fit_s) == (5.4, 4.0)


def test_one_client_that_knows_of_nobody_is_no_straggler() -> None:
    alone = standing(3, {3: Times(9.0, 1.0)}, 0.2, 0.1)
    assert not alone.straggler
    assert alone.target_total_s == 10.0
