"""Shamir's secret sharing (CACM 1979) of 32-byte secrets, over the prime field of 2^256 − 189.

The largest prime below 2^256, so that an element fills 32 bytes; secrets at or above it are
refused (a random one is with chance 2^-248). Python's integers are not constant-time. A holder's
index is its position among the participants plus one: never zero, where the secret sits.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod
from operator import mul

from protocol.errors import LocalError, ProtocolError
from protocol.secagg.keys import Randomness
from protocol.sizes import SHARE_BYTES

PRIME = 2**256 - 189
_MAX_DRAWS = 8
"""A draw misses the field with chance 2^-248: eight misses mean a broken source."""


def draw_element(randomness: Randomness) -> bytes:
    """Uniform bytes of an element of the field."""
    for _ in range(_MAX_DRAWS):
        drawn = randomness(SHARE_BYTES)
        if len(drawn) == SHARE_BYTES and int.from_bytes(drawn) < PRIME:
            return drawn
    raise LocalError("the randomness gives no element of the field")


def split(
    secret: bytes, threshold: int, indices: Sequence[int], randomness: Randomness
) -> dict[int, bytes]:
    """A share for each index, any `threshold` of which give the secret back and fewer nothing."""
    if len(secret) != SHARE_BYTES or int.from_bytes(secret) >= PRIME:
        raise LocalError(f"a secret must be {SHARE_BYTES} bytes below the field's prime")
    if not 1 <= threshold <= len(indices):
        raise LocalError(f"threshold {threshold} does not fit {len(indices)} holders")
    if min(indices) < 1 or len(set(indices)) != len(indices):
        raise LocalError("indices of shares must be positive, each once")
    coefficients = [int.from_bytes(draw_element(randomness)) for _ in range(threshold - 1)]
    constant = int.from_bytes(secret)
    return {index: _evaluate(coefficients, constant, index) for index in indices}


def _evaluate(coefficients: Sequence[int], constant: int, index: int) -> bytes:
    """Horner's rule."""
    value = 0
    for coefficient in coefficients:
        value = (value + coefficient) * index % PRIME
    return ((value + constant) % PRIME).to_bytes(SHARE_BYTES)


def weights_at_zero(indices: Sequence[int]) -> list[int]:
    """Lagrange weights of these indices: secret = Σ weight · share. Once per set of survivors.

    Indices are small, so their products are taken as plain integers and reduced once.
    """
    if not indices or min(indices) < 1 or len(set(indices)) != len(indices):
        raise LocalError("indices of shares must be positive, each once")
    product = prod(indices)
    differences = [prod([other - own for other in indices if other != own]) for own in indices]
    inverses = _inverses(differences)
    return [
        product // own * inverse % PRIME for own, inverse in zip(indices, inverses, strict=True)
    ]


def _inverses(values: Sequence[int]) -> list[int]:
    """All inverses for the price of one (Montgomery's trick): 1/a = b · 1/(ab)."""
    running = list(accumulate(values, lambda left, right: left * right % PRIME, initial=1))
    inverse = pow(running[-1], -1, PRIME)
    found = []
    for value, before in zip(reversed(values), reversed(running[:-1]), strict=True):
        found.append(inverse * before % PRIME)
        inverse = inverse * value % PRIME
    return found[::-1]


def combine(shares: Sequence[bytes], weights: Sequence[int]) -> bytes:
    """The secret behind exactly threshold-many shares, in the order of their weights."""
    if len(shares) != len(weights):
        raise LocalError(f"{len(shares)} shares do not match {len(weights)} weights")
    values = [int.from_bytes(share) for share in shares]
    if max(values, default=0) >= PRIME:
        raise ProtocolError("a share is not an element of the field")
    total: int = sum(map(mul, weights, values))
    return (total % PRIME).to_bytes(SHARE_BYTES)


def element(share: bytes) -> int:
    """A foreign share as a number; ProtocolError if it is no element of the field."""
    if len(share) != SHARE_BYTES or (value := int.from_bytes(share)) >= PRIME:
        raise ProtocolError("a share is not an element of the field")
    return value


class Recovery:
    """Combines many secrets, computing the weights of each set of holders once."""

    def __init__(self) -> None:
        self._weights: dict[tuple[int, ...], list[int]] = {}
        self.multiplications = 0

    def recover(self, shares: Mapping[int, bytes], threshold: int) -> bytes:
        """The secret from the `threshold` shares of lowest index; the others are not looked at."""
        indices = tuple(sorted(shares)[:threshold])
        if len(indices) < threshold:
            raise LocalError(f"{len(indices)} shares are fewer than the threshold {threshold}")
        if indices not in self._weights:
            self._weights[indices] = weights_at_zero(indices)
            self.multiplications += 2 * threshold * threshold
        self.multiplications += threshold
        return combine([shares[index] for index in indices], self._weights[indices])
