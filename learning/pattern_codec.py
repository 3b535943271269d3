"""A pattern as bytes: whichever is shortest of a bit a coordinate and Rice-coded gaps, from nothing
or from the pattern that the receiver holds.

Rice's unary quotients and binary remainders lie in two runs, one behind the other, so that both are
read without a loop; the length is the same. A pattern within the held one is described among the
held one's survivors only. Must not know who sends it.
"""

from math import floor, log, log2
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from learning.pattern import Pattern
from learning.selection import Kept
from protocol.errors import ProtocolError

_HEAD = Struct(">BBBIIII")
"""Format, form, Rice parameter, version, version it is told from (0: none), coordinates of the
model, gaps."""
_FORMAT = 1
_BITS, _SET, _CLEAR = range(3)
"""A bit each; gaps between the survivors; gaps between the pruned."""
_LARGEST_PARAMETER = 32

Coded = tuple[int, int, int, bytes]
"""Form, Rice parameter, gaps, body."""


def most_bytes(coordinates: int) -> int:
    """No pattern of so many coordinates takes more."""
    return _HEAD.size + -(-coordinates // 8)


def encode(pattern: Pattern, held: Pattern | None = None) -> bytes:
    """For a receiver who holds `held`."""
    told = [(0, _shortest(pattern.kept))]
    if held is not None and pattern.within(held):
        told.append((held.version, _shortest(pattern.kept[held.kept])))
    base, (form, parameter, gaps, body) = min(told, key=lambda each: len(each[1][3]))
    head = (_FORMAT, form, parameter, pattern.version, base, pattern.kept.size, gaps)
    return _HEAD.pack(*head) + body


def decode(data: bytes, coordinates: int, held: Pattern | None = None) -> Pattern:
    """Raises ProtocolError for what is no pattern of a model of that size; takes room in proportion
    to `coordinates`, whatever the data say."""
    if not _HEAD.size <= len(data) <= most_bytes(coordinates):
        raise ProtocolError("pattern: has no length of a pattern")
    format_, form, parameter, version, base, size, gaps = _HEAD.unpack_from(data)
    if format_ != _FORMAT or form > _CLEAR or version < 1:
        raise ProtocolError("pattern: of an unknown format")
    if size != coordinates:
        raise ProtocolError("pattern: of a model of another size")
    body = np.unpackbits(np.frombuffer(data, np.uint8, offset=_HEAD.size))
    if not base:
        return Pattern(_read(body, (form, parameter, gaps), size), version)
    if held is None or held.version != base or held.kept.size != size:
        raise ProtocolError("pattern: told from one that is not held")
    kept = np.zeros(size, np.bool_)
    kept[held.kept] = _read(body, (form, parameter, gaps), held.size)
    return Pattern(kept, version)


def _shortest(bits: Kept) -> Coded:
    survivors = int(np.count_nonzero(bits))
    form = _SET if 2 * survivors <= bits.size else _CLEAR
    positions = np.flatnonzero(bits if form == _SET else ~bits)
    gaps = np.diff(positions, prepend=-1) - 1
    parameter = _parameter(gaps, bits.size)
    raw = -(-bits.size // 8)
    if _rice_bits(gaps, parameter) > 8 * raw:
        return _BITS, 0, 0, np.packbits(bits).tobytes()
    return form, parameter, len(gaps), _rice(gaps, parameter)


def _parameter(gaps: NDArray[np.intp], universe: int) -> int:
    """The best near Golomb's rule, 2^k ≈ ln 2 · mean gap."""
    if not gaps.size:
        return 0
    about = max(0, floor(log2(max(1.0, log(2) * universe / gaps.size))))
    near = range(max(0, about - 1), min(_LARGEST_PARAMETER, about + 2))
    return min(near, key=lambda parameter: _rice_bits(gaps, parameter))


def _rice_bits(gaps: NDArray[np.intp], parameter: int) -> int:
    return int((gaps >> parameter).sum()) + gaps.size * (1 + parameter)


def _rice(gaps: NDArray[np.intp], parameter: int) -> bytes:
    bits = np.zeros(_rice_bits(gaps, parameter), np.uint8)
    ends = np.cumsum((gaps >> parameter) + 1)
    bits[ends - 1] = 1
    low = (gaps[:, None] >> np.arange(parameter)[::-1]) & 1
    bits[bits.size - low.size :] = low.ravel()
    return np.packbits(bits).tobytes()


def _read(bits: NDArray[np.uint8], said: tuple[int, int, int], universe: int) -> Kept:
    """The bits of `universe` coordinates."""
    form, parameter, count = said
    if form == _BITS:
        return _checked(bits, universe).astype(np.bool_)
    ends = np.flatnonzero(bits)[:count] + 1
    if count > universe or parameter >= _LARGEST_PARAMETER or len(ends) < count:
        raise ProtocolError("pattern: gaps that are none")
    unary = int(ends[-1]) if count else 0
    low = _checked(bits, unary + count * parameter)[unary:].reshape(count, parameter)
    quotients = np.diff(ends, prepend=0) - 1
    weights = 1 << np.arange(parameter)[::-1]
    gaps = (quotients.astype(np.int64) << parameter) + low.astype(np.int64) @ weights
    positions = np.cumsum(gaps + 1) - 1
    if count and positions[-1] >= universe:
        raise ProtocolError("pattern: reaches beyond the model")
    chosen = np.zeros(universe, np.bool_)
    chosen[positions] = True
    return chosen if form == _SET else ~chosen


def _checked(bits: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """So many bits, and none but padding behind them: one encoding for each pattern and form."""
    if -(-length // 8) * 8 != bits.size or bits[length:].any():
        raise ProtocolError("pattern: has bytes too few or too many")
    return bits[:length]
