"""Fixed point and packing: no overflow, bounded error, exact bytes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.errors import LocalError, ProtocolError
from protocol.secagg.packing import pack, packed_size, unpack
from protocol.secagg.ring import MIN_LEVELS, RING_BITS, FixedPoint, word_type

WIDTHS = pytest.mark.parametrize("bits", RING_BITS)


def quantised(ring: FixedPoint, values: NDArray[np.float32], weight: int) -> NDArray[np.int64]:
    out = np.empty(values.size, ring.word)
    ring.quantise(values, weight, out)
    return ring.to_integers(out)


def reference(ring: FixedPoint, values: NDArray[np.float32], weight: int) -> list[int]:
    """The same with Python's exact fractions."""
    scale = Fraction(ring.levels) / Fraction(ring.clip) * weight
    bound = ring.levels * weight
    exact = (round(Fraction(float(value)) * scale) for value in values)
    return [max(-bound, min(bound, value)) for value in exact]


@WIDTHS
def test_the_step_is_the_smallest_that_cannot_overflow(bits: int) -> None:
    ring = FixedPoint(clip=0.5, ring_bits=bits, max_weight=9, max_clients=20)
    largest = 20 * 9 * ring.levels
    assert largest < 2 ** (bits - 1)
    assert ring.step == 0.5 / ring.levels
    if bits < 64:  # 64 bits are bounded by what float64 computes exactly instead
        assert 20 * 9 * (ring.levels + 1) >= 2 ** (bits - 1)
    else:
        assert ring.levels * 9 <= 2**50


@WIDTHS
def test_the_largest_sum_comes_back_with_its_sign(bits: int) -> None:
    ring = FixedPoint(1.0, bits, max_weight=3, max_clients=50)
    for value in (1.0, -1.0):
        one = np.empty(4, ring.word)
        ring.quantise(np.full(4, value, np.float32), 3, one)
        total = np.zeros(4, ring.word)
        for _ in range(50):
            total += one
        np.testing.assert_allclose(ring.dequantise(total), 150 * value, rtol=1e-12)


@settings(max_examples=80)
@given(
    bits=st.sampled_from(RING_BITS),
    clip=st.floats(1e-3, 1e3),
    weights=st.lists(st.integers(0, 7), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_error_against_the_float_mean_is_bounded(
    bits: int, clip: float, weights: list[int], seed: int
) -> None:
    """At most half a step for each client in the sum, so steps·clients/(2·weights) in the mean."""
    ring = FixedPoint(clip, bits, 7, 6)
    generator = np.random.default_rng(seed)
    vectors = [generator.uniform(-clip, clip, 50).astype(np.float32) for _ in weights]
    total = np.zeros(50, ring.word)
    words = np.empty(50, ring.word)
    for values, weight in zip(vectors, weights, strict=True):
        ring.quantise(values, weight, words)
        total += words
    exact = sum(
        w * np.clip(v.astype(np.float64), -clip, clip)
        for v, w in zip(vectors, weights, strict=True)
    )
    error = np.abs(ring.dequantise(total) - exact).max()
    assert error <= len(weights) * ring.step / 2 + sum(weights) * clip * 1e-12


@settings(max_examples=80)
@given(
    bits=st.sampled_from(RING_BITS),
    weight=st.integers(1, 5),
    values=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20),
)
def test_rounding_is_to_the_nearest_step(bits: int, weight: int, values: list[float]) -> None:
    """Against exact fractions: equal, or off by the one step where float64 sees a tie."""
    ring = FixedPoint(1.0, bits, 5, 3)
    array = np.array(values, np.float32)
    difference = quantised(ring, array, weight) - np.array(reference(ring, array, weight))
    assert np.abs(difference).max() <= 1


def test_clipping_is_counted() -> None:
    ring = FixedPoint(0.1, 32, 10, 10)
    values = np.array([0.0, 0.1, -0.1, 0.2, -5.0, 0.0999], np.float32)
    out = np.empty(6, ring.word)
    assert ring.quantise(values, 10, out) == 2
    assert ring.to_integers(out).tolist()[1:5] == [
        10 * ring.levels,
        -10 * ring.levels,
        10 * ring.levels,
        -10 * ring.levels,
    ]


def test_clipping_is_counted_in_every_chunk() -> None:
    ring = FixedPoint(1.0, 32, 1, 10)
    values = np.zeros(100_000, np.float32)
    values[::1000] = 3.0
    assert ring.quantise(values, 1, np.empty(100_000, ring.word)) == 100


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 40_000])
def test_what_is_not_finite_is_refused(bad: float, position: int) -> None:
    ring = FixedPoint(1.0, 32, 1, 10)
    values = np.zeros(50_000, np.float32)
    values[position] = bad
    with pytest.raises(LocalError, match="finite"):
        ring.quantise(values, 1, np.empty(50_000, ring.word))


def test_stochastic_rounding_is_unbiased_and_repeatable() -> None:
    ring = FixedPoint(1.0, 16, 1, 1000)  # 32 steps: coarse on purpose
    values = np.full(200_000, 0.4 * ring.step, np.float32)
    out, again = np.empty(values.size, ring.word), np.empty(values.size, ring.word)
    ring.quantise(values, 1, out, np.random.default_rng(1))
    ring.quantise(values, 1, again, np.random.default_rng(1))
    assert (out == again).all()
    assert set(ring.to_integers(out).tolist()) == {0, 1}
    assert abs(ring.to_integers(out).mean() - 0.4) < 5 * np.sqrt(0.24 / values.size)
    full = np.ones(1000, np.float32)
    ring.quantise(full, 1, out[:1000], np.random.default_rng(1))
    assert (ring.to_integers(out[:1000]) == ring.levels).all()  # never beyond the bound


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 2**-15, 1 - 2**-15])
@pytest.mark.parametrize("negative", [False, True])
def test_stochastic_rounding_goes_up_as_often_as_it_should(fraction: float, negative: bool) -> None:
    """To the one side with the value's own fraction as its chance, to within 5 deviations."""
    ring = FixedPoint(1.0, 64, 1, 2**40)
    size = 2**18
    wanted = 5 + fraction
    values = np.full(size, (-wanted if negative else wanted) * ring.step, np.float32)
    exact = float(values[0]) / ring.step
    out = np.empty(size, ring.word)
    ring.quantise(values, 1, out, np.random.default_rng(3))
    found = ring.to_integers(out)
    assert np.abs(found - exact).max() < 1
    deviation = np.sqrt(max(abs(exact) % 1 * (1 - abs(exact) % 1), 1 / size) / size)
    assert abs(found.mean() - exact) < 5 * deviation + 2**-17


@settings(max_examples=60)
@given(
    values=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50),
    bits=st.sampled_from(RING_BITS),
    weight=st.integers(0, 50),
    seed=st.integers(0, 1000),
)
def test_a_stochastic_sum_errs_by_less_than_a_step_for_each_client(
    values: list[float], bits: int, weight: int, seed: int
) -> None:
    clients = 7
    ring = FixedPoint(1.0, bits, 50, clients)
    vector = np.array(values, np.float32)
    total = np.zeros(vector.size, np.int64)
    for client in range(clients):
        out = np.empty(vector.size, ring.word)
        ring.quantise(vector, weight, out, np.random.default_rng([seed, client]))
        total += ring.to_integers(out)
    exact = clients * weight * vector.astype(np.float64)
    slack = 2.0**-20 * max(1.0, float(np.abs(exact).max()))
    assert (np.abs(total * ring.step - exact) <= clients * ring.step + slack).all()


@pytest.mark.parametrize(
    ("weight", "clients", "bits"),
    [
        (1, 20, 16),
        (1, 31, 16),
        (1, 32, 24),
        (72, 20, 24),
        (819, 10, 24),
        (820, 10, 32),
        (2000, 1000, 32),
        (2**15, 2**15, 64),
        (2**20, 2**20, 64),
        (2**10, 2**18, 40),
    ],
)
def test_the_ring_that_fits(weight: int, clients: int, bits: int) -> None:
    """The narrowest with 1024 steps up to the clip bound, by n · W · 1024 < 2^(bits − 1)."""
    found = FixedPoint.fitting(0.5, weight, clients)
    assert found.ring_bits == bits
    assert found.levels >= 1024
    narrower = [b for b in RING_BITS if b < bits]
    if narrower:
        assert 1024 * weight * clients >= 2 ** (narrower[-1] - 1)


@pytest.mark.parametrize(
    ("settings_", "rule"),
    [
        ((1.0, 16, 1000, 20), r"leaves 1 steps.*2\^\(ring_bits"),
        ((1.0, 32, 2**31, 2), "leaves 0 steps"),
        ((1.0, 30, 1, 2), "ring_bits must be one of"),
        ((0.0, 32, 1, 2), "clip must be positive"),
        ((float("inf"), 32, 1, 2), "clip must be positive"),
        ((float("nan"), 32, 1, 2), "clip must be positive"),
        ((1.0, 32, 0, 2), "at least 1"),
        ((1.0, 32, 1, 0), "at least 1"),
    ],
)
def test_impossible_settings_are_refused(settings_: tuple[float, int, int, int], rule: str) -> None:
    with pytest.raises(LocalError, match=rule):
        FixedPoint(*settings_)


def test_the_bound_that_a_refusal_names_is_the_real_one() -> None:
    clients = (2**15 - 1) // MIN_LEVELS
    assert FixedPoint(1.0, 16, 1, clients).levels == MIN_LEVELS
    with pytest.raises(LocalError):
        FixedPoint(1.0, 16, 1, clients + 60)


def test_wrong_arrays_are_refused() -> None:
    ring = FixedPoint(1.0, 32, 4, 10)
    good, out = np.zeros(4, np.float32), np.empty(4, ring.word)
    for values, target, weight in (
        (good.astype(np.float64), out, 1),
        (good.reshape(2, 2), out, 1),
        (good, out[:3], 1),
        (good, out.astype("<u8"), 1),
        (good, out, -1),
        (good, out, 5),
    ):
        with pytest.raises(LocalError):
            ring.quantise(values, weight, target)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="words must be"):
        ring.to_integers(np.zeros(1, "<u8"))
    with pytest.raises(LocalError, match="words must be"):
        ring.dequantise(np.zeros(1, "<u8"))


@WIDTHS
def test_integers_add_up_with_the_same_words(bits: int) -> None:
    ring = FixedPoint(1.0, bits, 5, 30)
    counts = np.array([0, 1, -1, ring.max_integer, -ring.max_integer], np.int64)
    out = np.empty(5, ring.word)
    ring.encode_integers(counts, out)
    total = np.zeros(5, ring.word)
    for _ in range(30):
        total += out
    assert ring.to_integers(total).tolist() == [30 * int(count) for count in counts]
    assert ring.share_parts == min(10**6, ring.max_integer)
    for beyond in (ring.max_integer + 1, -ring.max_integer - 1):
        with pytest.raises(LocalError, match="overflow"):
            ring.encode_integers(np.array([beyond], np.int64), out[:1])
    with pytest.raises(LocalError, match="must hold"):
        ring.encode_integers(counts, out[:2])


def test_nothing_to_do_is_fine() -> None:
    ring = FixedPoint(1.0, 32, 1, 2)
    assert ring.quantise(np.empty(0, np.float32), 1, np.empty(0, ring.word)) == 0


@settings(max_examples=80)
@given(bits=st.sampled_from(RING_BITS), size=st.integers(0, 70), seed=st.integers(0, 2**32))
def test_packing_is_exact_and_comes_back(bits: int, size: int, seed: int) -> None:
    """The bytes are those of Python's own little-endian integers, word after word."""
    container = word_type(bits)
    words = np.random.default_rng(seed).integers(0, 2**64, size, np.uint64).astype(container)
    packed = bytes(pack(words, bits))
    assert len(packed) == packed_size(size, bits) == size * bits // 8
    kept = [int(word) % 2**bits for word in words]
    assert packed == b"".join(word.to_bytes(bits // 8, "little") for word in kept)
    assert unpack(packed, bits).tolist() == kept


def test_packing_refuses_what_does_not_fit() -> None:
    with pytest.raises(ProtocolError, match="no whole number"):
        unpack(bytes(7), 24)
    with pytest.raises(LocalError, match="words must be"):
        pack(np.zeros(3, "<u8"), 32)
    with pytest.raises(LocalError, match="ring_bits"):
        packed_size(3, 8)
