"""Shamir: any threshold of shares gives the secret, fewer are consistent with every secret."""

import hashlib
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import LocalError, ProtocolError
from protocol.secagg.shares import (
    PRIME,
    Recovery,
    combine,
    draw_element,
    element,
    split,
    weights_at_zero,
)

SECRETS = st.integers(0, PRIME - 1).map(lambda value: value.to_bytes(32))


def stream(seed: bytes = b"") -> "Stream":
    return Stream(seed)


class Stream:
    """Randomness for tests: fixed and never repeating."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8)).digest(size)


def test_the_field_is_a_field() -> None:
    """2^256 − 189 is prime: Miller-Rabin with 24 bases (error below 4^-24)."""
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 26):
        value = pow(base, odd, PRIME)
        powers = {pow(value, 2**i, PRIME) for i in range(twos)}
        assert value == 1 or PRIME - 1 in powers
    assert 2**256 - 2**32 < PRIME < 2**256


@settings(max_examples=30)
@given(secret=SECRETS, data=st.data())
def test_any_threshold_of_shares_recovers(secret: bytes, data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(1, 10_000), unique=True, min_size=1, max_size=12))
    threshold = data.draw(st.integers(1, len(indices)))
    shares = split(secret, threshold, indices, stream())
    chosen = data.draw(st.permutations(indices))[:threshold]
    assert combine([shares[index] for index in chosen], weights_at_zero(chosen)) == secret
    assert Recovery().recover(shares, threshold) == secret


def test_fewer_shares_fit_every_secret() -> None:
    """With threshold − 1 shares fixed, each secret has exactly one polynomial: the shares say
    nothing. Shown by completing the same two shares to three different secrets."""
    shares = split(b"\x11" * 32, 3, [1, 2, 3, 4], stream())
    for claimed in (0, 1, PRIME - 1):
        weights = weights_at_zero([1, 2, 4])
        known = weights[0] * element(shares[1]) + weights[1] * element(shares[2])
        third = (claimed - known) * pow(weights[2], -1, PRIME) % PRIME
        completed = [shares[1], shares[2], third.to_bytes(32)]
        assert int.from_bytes(combine(completed, weights)) == claimed


def test_too_few_shares_give_something_else() -> None:
    secret = b"\x22" * 32
    shares = split(secret, 4, range(1, 7), stream())
    for few in combinations(shares, 3):
        assert combine([shares[index] for index in few], weights_at_zero(few)) != secret


def test_golden_vector() -> None:
    """By hand: 5 + 7x + 11x², coefficients drawn lowest power last (Horner from the top)."""
    drawn = iter([(11).to_bytes(32), (7).to_bytes(32)])
    shares = split((5).to_bytes(32), 3, [1, 2, 3], lambda size: next(drawn))
    assert [int.from_bytes(share) for share in shares.values()] == [23, 63, 125]
    assert weights_at_zero([1, 2, 3]) == [3, PRIME - 3, 1]


def test_weights_are_computed_once_per_set_of_holders() -> None:
    recovery = Recovery()
    first = split(b"\x01" * 32, 3, [1, 2, 3, 4], stream(b"a"))
    second = split(b"\x02" * 32, 3, [1, 2, 3, 4], stream(b"b"))
    assert recovery.recover(first, 3) == b"\x01" * 32
    once = recovery.multiplications
    assert recovery.recover(second, 3) == b"\x02" * 32
    assert recovery.multiplications - once == 3  # one for each share that is combined


def test_only_threshold_many_shares_are_looked_at() -> None:
    shares = split(b"\x01" * 32, 2, [1, 2, 3], stream())
    assert Recovery().recover({**shares, 3: b"\xff" * 32}, 2) == b"\x01" * 32


def test_our_own_mistakes() -> None:
    with pytest.raises(LocalError, match="below the field's prime"):
        split(PRIME.to_bytes(32), 2, [1, 2], stream())
    with pytest.raises(LocalError, match="32 bytes"):
        split(b"short", 2, [1, 2], stream())
    for threshold in (0, 3):
        with pytest.raises(LocalError, match="does not fit"):
            split(bytes(32), threshold, [1, 2], stream())
    for indices in ([0, 1], [1, 1], [-1, 2]):
        with pytest.raises(LocalError, match="positive, each once"):
            split(bytes(32), 2, indices, stream())
        with pytest.raises(LocalError, match="positive, each once"):
            weights_at_zero(indices)
    with pytest.raises(LocalError, match="positive"):
        weights_at_zero([])
    with pytest.raises(LocalError, match="do not match"):
        combine([bytes(32)], [1, 2])
    with pytest.raises(LocalError, match="fewer than the threshold"):
        Recovery().recover({1: bytes(32)}, 2)


@pytest.mark.parametrize("share", [b"", bytes(31), bytes(33), b"\xff" * 32, PRIME.to_bytes(32)])
def test_foreign_shares_outside_the_field_are_refused(share: bytes) -> None:
    with pytest.raises(ProtocolError):
        element(share)
    if len(share) == 32:
        with pytest.raises(ProtocolError):
            combine([share], [1])


def test_randomness_outside_the_field_is_drawn_again_but_not_for_ever() -> None:
    draws = iter([b"\xff" * 32, b"\x07" * 32])
    assert draw_element(lambda size: next(draws)) == b"\x07" * 32
    for broken in (lambda size: b"\xff" * size, lambda size: b""):
        with pytest.raises(LocalError, match="randomness"):
            draw_element(broken)
