"""What each step takes, in operations, known before it is done: a device is charged from this.

Formulas in the numbers of clients involved; the machines report them, and a test holds them against
counts worked out by hand. Hashing and copying are below a percent of the rest and not charged.
"""

from protocol.sizes import SEALED_PLAINTEXT_BYTES
from protocol.work import Operation, Tally


def advertise() -> Tally:
    """Two key pairs."""
    return {Operation.KEY_AGREEMENT: 2}


def receive_roster(peers: int) -> Tally:
    """Two agreements with each peer: to seal, and to mask."""
    return {Operation.KEY_AGREEMENT: 2 * peers}


def share(holders: int, peers: int, threshold: int) -> Tally:
    """Two secrets split by Horner's rule for each holder; one parcel sealed for each peer."""
    return {
        Operation.FIELD_MULTIPLICATION: 2 * holders * (threshold - 1),
        Operation.SEALED_BYTE: peers * SEALED_PLAINTEXT_BYTES,
    }


def receive_delivery(peers: int) -> Tally:
    """One parcel opened for each peer."""
    return {Operation.SEALED_BYTE: peers * SEALED_PLAINTEXT_BYTES}


def signatures(made: int, checked: int) -> Tally:
    """Against an active coordinator: statements signed and verified."""
    return {Operation.SIGNATURE: made, Operation.VERIFICATION: checked}


def masks(count: int, vector_bytes: int) -> Tally:
    """`count` masks over a vector of so many bytes in memory (4 or 8 a word)."""
    return {Operation.MASK_BYTE: count * vector_bytes}


def quantise(values: int) -> Tally:
    return {Operation.QUANTISED_VALUE: values}


def recover(multiplications: int, agreements: int) -> Tally:
    """The coordinator's: shares combined, the lost clients' masks agreed on."""
    return {
        Operation.FIELD_MULTIPLICATION: multiplications,
        Operation.KEY_AGREEMENT: agreements,
    }
