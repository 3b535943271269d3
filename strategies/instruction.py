"""What a coordinator that chooses sub-models tells a client: a keep ratio and the kept neurons.

A bit a neuron, group by group in the model's order. Only where aggregation is plain: under secure
aggregation nobody but the client itself decides what it trains.
"""

import math
import struct

import numpy as np

from learning.structure import Keep, Structure

_RATIO = struct.Struct(">d")


class InstructionError(ValueError):
    """An instruction that is no sub-model of this network."""


def encode_keep(structure: Structure, keep: Keep, keep_ratio: float) -> bytes:
    bits = np.zeros(sum(structure.sizes.values()), np.bool_)
    start = 0
    for group, size in structure.sizes.items():
        bits[start + np.asarray(keep.get(group, np.arange(size)))] = True
        start += size
    return _RATIO.pack(keep_ratio) + np.packbits(bits).tobytes()


def decode_keep(structure: Structure, instruction: bytes) -> tuple[float, Keep]:
    """(keep ratio, kept neurons). Raises InstructionError."""
    neurons = sum(structure.sizes.values())
    if len(instruction) != _RATIO.size + -(-neurons // 8):
        raise InstructionError(f"instruction: has {len(instruction)} bytes, not {neurons} bits")
    (keep_ratio,) = _RATIO.unpack_from(instruction)
    if not (math.isfinite(keep_ratio) and 0 < keep_ratio <= 1):
        raise InstructionError("instruction: keep ratio must be in (0, 1]")
    bits = np.unpackbits(np.frombuffer(instruction, np.uint8, offset=_RATIO.size)).astype(np.bool_)
    if bits[neurons:].any():
        raise InstructionError("instruction: bits set beyond the last neuron")
    keep, start = {}, 0
    for group, size in structure.sizes.items():
        keep[group] = np.flatnonzero(bits[start : start + size])
        start += size
        if not len(keep[group]):
            raise InstructionError(f"instruction: keeps no neuron of {group}")
    return keep_ratio, keep
