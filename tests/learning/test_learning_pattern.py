"""Patterns there and back, never longer than a bit a coordinate, and nothing taken for one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.pattern import Pattern
from learning.pattern_codec import decode, encode, most_bytes
from learning.selection import Selection
from learning.structure import StructureError
from protocol.errors import ProtocolError
from protocol.pattern import NO_PATTERN

HEAD = 19


@st.composite
def kept(draw: st.DrawFn) -> np.ndarray:
    size = draw(st.integers(1, 600))
    share = draw(st.sampled_from([0.0, 0.01, 0.05, 0.3, 0.5, 0.9, 0.99, 1.0]))
    seed = draw(st.integers(0, 2**32))
    return np.random.default_rng(seed).random(size) < share


@settings(max_examples=200)
@given(kept())
def test_a_pattern_comes_back_and_is_no_longer_than_its_bits(bits: np.ndarray) -> None:
    pattern = Pattern(bits, 7)
    data = encode(pattern)
    assert len(data) <= most_bytes(bits.size) == HEAD + -(-bits.size // 8)
    found = decode(data, bits.size)
    np.testing.assert_array_equal(found.kept, bits)
    assert found.name == pattern.name


@settings(max_examples=200)
@given(kept(), st.integers(0, 2**32), st.floats(0, 1))
def test_it_comes_back_from_the_one_before_too(bits: np.ndarray, seed: int, left: float) -> None:
    held = Pattern(bits, 3)
    pattern = Pattern(bits & (np.random.default_rng(seed).random(bits.size) < left), 4)
    data = encode(pattern, held)
    assert len(data) <= len(encode(pattern))
    np.testing.assert_array_equal(decode(data, bits.size, held).kept, pattern.kept)


def test_sizes_are_near_the_entropy() -> None:
    """Of 2.95 M weights, BrainAgeCNN's: a bit each is 0.37 MB, Rice-coded gaps at 95 % 0.11 MB."""
    size = 2_948_801
    drawn = np.random.default_rng(1).random(size)
    at = {sparsity: Pattern(drawn >= sparsity, 2) for sparsity in (0.5, 0.9, 0.95)}
    assert len(encode(at[0.5])) == pytest.approx(HEAD + size / 8, rel=1e-3)
    entropy = -(0.95 * np.log2(0.95) + 0.05 * np.log2(0.05)) / 8 * size
    assert entropy < len(encode(at[0.95])) < 1.03 * entropy
    assert len(encode(at[0.95])) < len(encode(at[0.9]))
    delta = encode(Pattern(drawn >= 0.95, 3), at[0.9])
    assert len(delta) < 0.4 * len(encode(at[0.95]))


def test_what_is_not_within_the_held_one_is_told_whole() -> None:
    held, other = Pattern(np.arange(64) < 8, 1), Pattern(np.arange(64) >= 8, 2)
    assert encode(other, held) == encode(other)


def test_names_tell_versions_and_bits_apart() -> None:
    bits = np.arange(100) % 3 == 0
    other = bits.copy()
    other[99] ^= True
    names = {Pattern(bits, 1).name, Pattern(bits, 2).name, Pattern(other, 1).name}
    assert len({name.text for name in names}) == 3
    assert Pattern(bits, 1).name.text == f"1-{Pattern(bits, 1).name.digest.hex()}"
    assert not NO_PATTERN
    assert NO_PATTERN.text == ""


BITS = np.arange(400) % 20 == 0
DATA = encode(Pattern(BITS, 2))
TOLD = encode(Pattern(BITS & (np.arange(400) > 40), 3), Pattern(BITS, 2))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "no length"),
        (DATA[:18], "no length"),
        (DATA + bytes(most_bytes(400)), "no length"),
        (b"\x02" + DATA[1:], "unknown format"),
        (DATA[:1] + b"\x03" + DATA[2:], "unknown format"),
        (DATA[:3] + bytes(4) + DATA[7:], "unknown format"),
        (DATA[:11] + (401).to_bytes(4) + DATA[15:], "another size"),
        (DATA[:2] + b"\x20" + DATA[3:], "gaps that are none"),
        (DATA[:15] + (401).to_bytes(4) + DATA[19:], "gaps that are none"),
        (DATA[:15] + (3).to_bytes(4) + DATA[19:], "too few or too many"),
        (DATA + b"\0", "too few or too many"),
        (DATA[:-1], "too few or too many|gaps that are none"),
        (DATA[:2] + b"\x05" + DATA[3:], "too few or too many|beyond the model"),
        (TOLD, "not held"),
    ],
)
def test_what_is_no_pattern_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(ProtocolError, match=fault):
        decode(data, 400)


def test_a_delta_needs_the_very_pattern_it_is_told_from() -> None:
    with pytest.raises(ProtocolError, match="not held"):
        decode(TOLD, 400, Pattern(BITS, 1))


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 2))
def test_garbage_raises_nothing_else(tail: bytes, form: int) -> None:
    data = DATA[:1] + bytes([form]) + DATA[2:19] + tail
    try:
        found = decode(data, 400)
    except ProtocolError:
        return
    assert found.kept.size == 400


def test_a_selection_takes_values_out_and_puts_them_back() -> None:
    selection = Selection(np.array([True, False, True]))
    values = selection.extract(np.array([1, 2, 3], np.float32))
    assert values.tolist() == [1, 3]
    assert selection.expand(values).tolist() == [1, 0, 3]
    with pytest.raises(StructureError, match=r"expected \[3\], got \[2\]"):
        selection.extract(values)
    with pytest.raises(StructureError, match=r"expected \[2\], got \[1\]"):
        selection.expand(values[:1])
