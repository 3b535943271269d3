"""What a client agrees on with one peer: keys to seal each way, and their common mask.

Computed once per pair and sum, from the roster, so that a bad public key is refused before any
share is made.
"""

from dataclasses import dataclass, field

from protocol.secagg.keys import KeyPair, Party, Purpose, Sum, pairwise_key
from protocol.secagg.masks import Mask


@dataclass(frozen=True, slots=True)
class Pairing:
    """One peer as seen from one client."""

    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)
    mask: Mask
    """As this client applies it; the peer's has the opposite sign."""


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """A client's two key pairs of one sum."""

    client: int
    sealing: KeyPair
    masking: KeyPair

    @property
    def public(self) -> tuple[bytes, bytes]:
        return self.sealing.public, self.masking.public


def pair(own: OwnKeys, peer: int, publics: tuple[bytes, bytes], sum_: Sum) -> Pairing:
    """Agree with `peer` on everything. ProtocolError if one of its keys is of low order."""
    me, other = Party(own.client, own.sealing.public), Party(peer, publics[0])
    shared = own.sealing.agree(other.public)
    return Pairing(
        send_key=pairwise_key(Purpose.SEAL, sum_, shared, (me, other)),
        receive_key=pairwise_key(Purpose.SEAL, sum_, shared, (other, me)),
        mask=pairwise_mask(own.masking, (own.client, peer), publics[1], sum_),
    )


def pairwise_mask(masking: KeyPair, ids: tuple[int, int], public: bytes, sum_: Sum) -> Mask:
    """The mask between `ids` = (owner of `masking`, owner of `public`) as the former applies it:
    the lower id adds what the higher subtracts."""
    one, other = Party(ids[0], masking.public), Party(ids[1], public)
    lower_first = (one, other) if ids[0] < ids[1] else (other, one)
    key = pairwise_key(Purpose.PAIRWISE_MASK, sum_, masking.agree(public), lower_first)
    return Mask(key, 1 if ids[0] < ids[1] else -1)
