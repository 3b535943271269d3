"""Fixed point in a ring of 2^bits: float updates to words that add up without ever overflowing.

The step is the smallest that lets `max_clients` updates of weight `max_weight`, all at the clip
bound, sum to less than 2^(bits−1); settings that leave too few steps are refused before a round
starts. Words are kept in uint32 (up to 32 bits) or uint64 and are meaningful modulo 2^bits; sums
of either sign come back by sign extension. The same words serve plain and masked aggregation.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.errors import LocalError

RING_BITS = (16, 24, 32, 40, 64)
MIN_LEVELS = 15
"""Fewer steps between 0 and the clip bound than 4 bits: not an update any more, refused."""
FINE_LEVELS = 1024
"""What a ring chosen for its settings has at least: ten bits for an update of weight 1, many more
for the weighted mean, in which each client's error is divided by its weight."""
_EXACT = 2**50
"""Weighted values stay below this, where float64 arithmetic errs by far less than one step."""
_ROUNDING_BITS = 0x4338_0000_0000_0000
"""The bits of the float64 1.5 · 2^52."""
_CHUNK = 32_768
"""Values at a time: the scratch (256 KiB) stays in the core's own cache."""

Words = NDArray[np.unsignedinteger[Any]]


def word_type(ring_bits: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Little-endian, because masks are defined on bytes."""
    if ring_bits not in RING_BITS:
        raise LocalError(f"ring_bits must be one of {RING_BITS}, not {ring_bits}")
    return np.dtype("<u4") if ring_bits <= 32 else np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """How floats in [−clip, clip], weighted by integers, become words of a ring."""

    clip: float
    ring_bits: int
    max_weight: int
    """Largest weight of one client, e.g. its number of examples."""
    max_clients: int
    levels: int = field(init=False)
    """Steps between 0 and the clip bound, for weight 1."""
    step: float = field(init=False)
    """Value of one unit of a word in the weighted sum."""

    def __post_init__(self) -> None:
        word_type(self.ring_bits)
        if not (0 < self.clip < float("inf")):
            raise LocalError("clip must be positive and finite")
        if self.max_weight < 1 or self.max_clients < 1:
            raise LocalError("max_weight and max_clients must be at least 1")
        weight = self.max_clients * self.max_weight
        levels = min((2 ** (self.ring_bits - 1) - 1) // weight, _EXACT // self.max_weight)
        if levels < MIN_LEVELS:
            raise LocalError(
                f"ring_bits = {self.ring_bits} leaves {levels} steps for {self.max_clients} clients"
                f" of weight {self.max_weight}; at least {MIN_LEVELS} need"
                f" {MIN_LEVELS * weight} < 2^(ring_bits − 1)"
            )
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "step", self.clip / levels)

    @classmethod
    def fitting(cls, clip: float, max_weight: int, max_clients: int) -> "FixedPoint":
        """In the narrowest ring that leaves FINE_LEVELS, or in the widest."""
        needed = FINE_LEVELS * max_weight * max_clients
        wide_enough = (bits for bits in RING_BITS if needed < 2 ** (bits - 1))
        return cls(clip, next(wide_enough, RING_BITS[-1]), max_weight, max_clients)

    @property
    def word(self) -> np.dtype[np.unsignedinteger[Any]]:
        return word_type(self.ring_bits)

    @property
    def max_integer(self) -> int:
        """Largest integer that every client may add without overflow."""
        return ((1 << (self.ring_bits - 1)) - 1) // self.max_clients

    @property
    def share_parts(self) -> int:
        """Unit for adding up shares of 1 (the clipped fraction): a million, or what fits."""
        return min(1_000_000, self.max_integer)

    def quantise(
        self,
        values: NDArray[np.float32],
        weight: int,
        out: Words,
        stochastic: np.random.Generator | None = None,
    ) -> int:
        """Write round(weight · values / step) into `out`; return how many values were clipped.

        To the nearest step, or stochastically with a generator: up or down by chance, so that the
        mean is the value itself to within 2^-17 of a step. NaN or infinity raises LocalError and
        leaves `out` undefined.
        """
        self._check_quantise(values, weight, out)
        scratch, noise = np.empty((2, min(_CHUNK, values.size)), np.float64)
        clipped = 0
        for start in range(0, values.size, _CHUNK):
            chunk = values[start : start + _CHUNK]
            scaled = scratch[: chunk.size]
            np.multiply(chunk, weight / self.step, out=scaled, dtype=np.float64)
            clipped += _clip(scaled, weight * self.levels)
            if stochastic is not None:
                _disturb(scaled, noise[: chunk.size], stochastic.bit_generator)
            _write_rounded(scaled, out[start : start + chunk.size])
        return clipped

    def _check_quantise(self, values: NDArray[np.float32], weight: int, out: Words) -> None:
        if values.dtype != np.float32 or values.ndim != 1:
            raise LocalError("values must be a vector of float32")
        if out.dtype != self.word or out.shape != values.shape:
            raise LocalError(f"out must hold {values.size} words of {self.word}")
        if not 0 <= weight <= self.max_weight:
            raise LocalError(f"weight {weight} must lie in [0, {self.max_weight}]")

    def encode_integers(self, values: NDArray[np.int64], out: Words) -> None:
        """Write integers (participation counts) into `out`; LocalError if a sum could overflow."""
        if out.dtype != self.word or out.shape != values.shape:
            raise LocalError(f"out must hold {values.size} words of {self.word}")
        if values.size and max(-int(values.min()), int(values.max())) > self.max_integer:
            raise LocalError(
                f"an integer is over {self.max_integer}, the most that cannot overflow"
            )
        np.copyto(out, values, casting="unsafe")

    def to_integers(self, words: Words) -> NDArray[np.int64]:
        """The signed sums behind words modulo 2^ring_bits."""
        if words.dtype != self.word:
            raise LocalError(f"words must be {self.word}, not {words.dtype}")
        return self._signed(words).astype(np.int64)

    def _signed(self, words: Words) -> NDArray[np.signedinteger[Any]]:
        """In the words' own width; shares their memory where the ring fills it."""
        unused = 8 * words.dtype.itemsize - self.ring_bits
        if not unused:
            return words.view(f"<i{words.dtype.itemsize}")
        signed = np.left_shift(words, unused).view(f"<i{words.dtype.itemsize}")
        return np.asarray(np.right_shift(signed, unused))

    def dequantise(self, words: Words) -> NDArray[np.float64]:
        """The weighted sum of the (clipped, rounded) values."""
        if words.dtype != self.word:
            raise LocalError(f"words must be {self.word}, not {words.dtype}")
        values = np.empty(words.shape, np.float64)
        for start in range(0, words.size, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            np.multiply(self._signed(words[chunk]), self.step, out=values[chunk])
        return values


def _write_rounded(scaled: NDArray[np.float64], out: Words) -> None:
    """Nearest integers (ties to even) as words; `scaled` is used up.

    Adding 1.5 · 2^52 puts a float64 of magnitude below 2^51 where its unit in the last place is 1:
    the addition rounds, and the low bits are the integer in two's complement.
    """
    scaled += 1.5 * 2.0**52
    integers = scaled.view(np.int64)
    if out.dtype.itemsize == 8:
        integers -= _ROUNDING_BITS
    # Down to 32 bits there is nothing to subtract: the constant's low 51 bits are zero.
    np.copyto(out, integers, casting="unsafe")


def _disturb(
    scaled: NDArray[np.float64], noise: NDArray[np.float64], bits: np.random.BitGenerator
) -> None:
    """Add to each value a number of (−1/2, 1/2), so that rounding to the nearest goes either way
    with the right chance. 16 random bits each: numpy draws 64 for a float, which takes thrice as
    long as all the rest."""
    drawn = bits.random_raw(-(-scaled.size // 4)).view(np.int16)[: scaled.size]
    np.multiply(drawn, 2.0**-16, out=noise)
    noise += 2.0**-17
    scaled += noise


def _clip(scaled: NDArray[np.float64], bound: float) -> int:
    """Clip in place to ±bound; return how many were beyond. NaN and infinity raise LocalError."""
    low, high = float(scaled.min()), float(scaled.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise LocalError("values must be finite: a NaN or an infinity is among them")
    # One unit of slack: float32(clip) may lie a rounding error beyond clip and is not clipped.
    slack = bound * 2.0**-23
    if -bound <= low and high <= bound:
        return 0
    beyond = int(np.count_nonzero(np.abs(scaled) > bound + slack))
    np.clip(scaled, -bound, bound, out=scaled)
    return beyond
