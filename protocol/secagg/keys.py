"""Keys of one secure sum: agreement, derivation, sealing. No key is ever used in two sums.

X25519 (RFC 7748) agrees on a secret per pair; HKDF-SHA256 (RFC 5869) turns it into one key per
purpose, bound to session, round, attempt, both clients and both public keys; ChaCha20-Poly1305
(RFC 8439) seals what passes between clients through the coordinator. Knows no phases.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from protocol.errors import LocalError, ProtocolError
from protocol.sizes import (
    KEY_BYTES,
    NOTE_BYTES,
    SEALED_BYTES,
    SESSION_BYTES,
    SHARE_BYTES,
)

Randomness = Callable[[int], bytes]
"""n -> n fresh random bytes: the operating system's, except under a virtual clock."""

_LABEL = b"straggler-testbed/v1/"
_SUM = Struct(">16sII")
_PAIR = Struct(">II")
_PLAINTEXT = Struct(f">II{SHARE_BYTES}s{SHARE_BYTES}sH{NOTE_BYTES}s")
_ZERO_NONCE = bytes(12)


class Purpose(StrEnum):
    """What a derived key is for; part of its label."""

    SEAL = "seal"
    """One message from one client to another: the pair is (sender, recipient)."""
    PAIRWISE_MASK = "pairwise-mask"
    """The pair is (lower id, higher id)."""
    SELF_MASK = "self-mask"
    """The pair is (client, client)."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Which secure sum: every key, seed and share belongs to exactly one."""

    session: bytes
    round: int
    attempt: int

    def __post_init__(self) -> None:
        if len(self.session) != SESSION_BYTES:
            raise LocalError(f"a session must be {SESSION_BYTES} bytes, not {len(self.session)}")
        if not (1 <= self.round < 2**32 and 1 <= self.attempt < 2**32):
            raise LocalError("round and attempt count from 1 and fit 32 bits")

    def encoded(self) -> bytes:
        return _SUM.pack(self.session, self.round, self.attempt)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An X25519 key pair, its secret key clamped."""

    secret: bytes = field(repr=False)
    public: bytes

    @classmethod
    def generate(cls, randomness: Randomness) -> "KeyPair":
        """Clamped before use (RFC 7748 §5): the first byte is 248 at most, so that the secret, read
        big-endian, can be shared in the field of 2^256 − 189 exactly as it is used."""
        raw = bytearray(_draw(randomness, KEY_BYTES))
        raw[0] &= 248
        raw[31] = raw[31] & 127 | 64
        return cls.from_secret(bytes(raw))

    @classmethod
    def from_secret(cls, secret: bytes) -> "KeyPair":
        return cls(secret, crypto_scalarmult_base(secret))

    def agree(self, public: bytes) -> bytes:
        """The shared secret with the owner of `public`; ProtocolError if that key is of low order.

        RFC 7748 §6.1: an all-zero result means that the peer's key forced it; libsodium checks.
        """
        try:
            return crypto_scalarmult(self.secret, public)
        except CryptoError:
            raise ProtocolError("a public key of low order was refused") from None


@dataclass(frozen=True, slots=True)
class Party:
    """One end of an agreement."""

    client: int
    public: bytes


def pairwise_key(purpose: Purpose, sum_: Sum, shared: bytes, ends: tuple[Party, Party]) -> bytes:
    """Derive a pair's key. Bound to both public keys too, so that no party can be made to share a
    key with someone whom it does not know. `ends` in the purpose's order."""
    publics = ends[0].public + ends[1].public
    return _derive(purpose, sum_, shared, (ends[0].client, ends[1].client), publics)


def self_mask_key(sum_: Sum, seed: bytes, client: int) -> bytes:
    return _derive(Purpose.SELF_MASK, sum_, seed, (client, client), b"")


def _derive(
    purpose: Purpose, sum_: Sum, secret: bytes, pair: tuple[int, int], publics: bytes
) -> bytes:
    """HKDF-SHA256; the info is label ‖ purpose ‖ 0 ‖ session ‖ round ‖ attempt ‖ ids ‖ keys.

    The zero ends the only part of variable length, so no two infos collide.
    """
    info = _LABEL + purpose.encode() + b"\0" + sum_.encoded() + _PAIR.pack(*pair) + publics
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one client seals for another: a share of each secret, and the strategy's note."""

    masking_key_share: bytes = field(repr=False)
    self_seed_share: bytes = field(repr=False)
    note: bytes = field(repr=False)


def seal(parcel: Parcel, key: bytes, sum_: Sum, route: tuple[int, int]) -> bytes:
    """Encrypt for `route` = (sender, recipient). `key` is this route's own and seals one message
    only, which is why the nonce may be constant."""
    note = parcel.note
    if len(note) > NOTE_BYTES:
        raise LocalError(f"a note must be at most {NOTE_BYTES} bytes, not {len(note)}")
    shares = (parcel.masking_key_share, parcel.self_seed_share)
    plaintext = _PLAINTEXT.pack(*route, *shares, len(note), note)
    return ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, plaintext, _associated(sum_, route))


def unseal(sealed: bytes, key: bytes, sum_: Sum, route: tuple[int, int]) -> Parcel:
    """Decrypt and check; ProtocolError names the route and nothing of the content."""
    if len(sealed) != SEALED_BYTES:
        raise ProtocolError(f"shares from client {route[0]} have a wrong length")
    try:
        plaintext = ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, sealed, _associated(sum_, route))
    except InvalidTag:
        raise ProtocolError(f"shares from client {route[0]} do not decrypt") from None
    sender, recipient, masking, seed, length, note = _PLAINTEXT.unpack(plaintext)
    if (sender, recipient) != route or length > NOTE_BYTES or any(note[length:]):
        raise ProtocolError(f"shares from client {route[0]} are malformed")
    return Parcel(masking, seed, note[:length])


def _associated(sum_: Sum, route: tuple[int, int]) -> bytes:
    return _LABEL + b"sealed\0" + sum_.encoded() + _PAIR.pack(*route)


def _draw(randomness: Randomness, size: int) -> bytes:
    drawn = randomness(size)
    if len(drawn) != size:
        raise LocalError(f"the randomness gave {len(drawn)} bytes instead of {size}")
    return drawn
