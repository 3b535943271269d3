"""The vocabulary of work: what a device is charged for, counted where the work is done.

Whoever computes counts (`learning` for training, `protocol.secagg` for cryptography); whoever
emulates a device (`netem.pace`) multiplies by the device's seconds per operation. Neither knows
the other.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Operation(StrEnum):
    """One unit of work. A device profile states seconds for each."""

    TRAINING_MAC = "training_mac"
    """One multiply-accumulate of training; forward and backward together cost 3 x forward."""
    TRAINING_BATCH = "training_batch"
    """The fixed part of one optimiser step, whatever the model's size."""
    KEY_AGREEMENT = "key_agreement"
    """One X25519 scalar multiplication with its key derivation; making a key pair is one too."""
    SIGNATURE = "signature"
    """One Ed25519 signature."""
    VERIFICATION = "verification"
    """One Ed25519 verification."""
    FIELD_MULTIPLICATION = "field_multiplication"
    """One multiplication modulo the 256-bit prime of the Shamir shares."""
    SEALED_BYTE = "sealed_byte"
    """One byte encrypted or decrypted with an AEAD (a message counts at least 64)."""
    MASK_BYTE = "mask_byte"
    """One byte of mask expanded from its key and added to the vector."""
    QUANTISED_VALUE = "quantised_value"
    """One coordinate turned from float to fixed point or back."""


Tally = Mapping[Operation, float]
"""How much of each operation a piece of work takes."""


def total(*tallies: Tally) -> Tally:
    """The sum of several tallies."""
    result: Counter[Operation] = Counter()
    for tally in tallies:
        for operation, count in tally.items():
            result[operation] += count  # type: ignore[assignment]
    return dict(result)
