"""Keys: golden vectors of the primitives, our own derivation written out, and what is refused."""

import hashlib
import hmac
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import LocalError, ProtocolError
from protocol.secagg.keys import (
    KeyPair,
    Parcel,
    Party,
    Purpose,
    Sum,
    pairwise_key,
    seal,
    self_mask_key,
    unseal,
)
from protocol.secagg.pairing import OwnKeys, pair, pairwise_mask
from protocol.sizes import NOTE_BYTES, SEALED_BYTES

SUM = Sum(b"session-16-bytes", 7, 2)
ALICE = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
ALICE_PUBLIC = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
BOB = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
BOB_PUBLIC = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def pair_of(secret: str) -> KeyPair:
    return KeyPair.from_secret(bytes.fromhex(secret))


def hkdf(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 in three lines, to hold ours against."""
    prk = hmac.digest(salt or bytes(32), secret, "sha256")
    okm = block = b""
    for counter in range(1, -(-size // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        okm += block
    return okm[:size]


def test_x25519_golden_vector() -> None:
    """RFC 7748 §6.1."""
    alice, bob = pair_of(ALICE), pair_of(BOB)
    assert alice.public.hex() == ALICE_PUBLIC
    assert bob.public.hex() == BOB_PUBLIC
    assert alice.agree(bob.public).hex() == bob.agree(alice.public).hex() == SHARED


def test_hkdf_golden_vectors() -> None:
    """RFC 5869 A.1 and A.3, for the reference that our derivation is held against."""
    basic = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert basic.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    unsalted = hkdf(b"\x0b" * 22, b"", b"", 42)
    assert unsalted.hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_the_pairwise_mask_key_written_out() -> None:
    """HKDF(X25519 secret, no salt, label ‖ purpose ‖ 0 ‖ session ‖ round ‖ attempt ‖ ids ‖ keys),
    integers big-endian in 4 bytes, the lower id first, whoever computes it."""
    info = (
        b"straggler-testbed/v1/pairwise-mask\0"
        + b"session-16-bytes"
        + bytes.fromhex("00000007 00000002 00000003 0000000a".replace(" ", ""))
        + bytes.fromhex(ALICE_PUBLIC)
        + bytes.fromhex(BOB_PUBLIC)
    )
    expected = hkdf(bytes.fromhex(SHARED), b"", info, 32)
    alices = pairwise_mask(pair_of(ALICE), (3, 10), bytes.fromhex(BOB_PUBLIC), SUM)
    bobs = pairwise_mask(pair_of(BOB), (10, 3), bytes.fromhex(ALICE_PUBLIC), SUM)
    assert alices.key == bobs.key == expected
    assert expected.hex() == "22f7d311e1c12b326466ce2b3067dbfb0f6d3fe230cf5e87dfa4f04eafb61fc1"
    assert (alices.sign, bobs.sign) == (1, -1)


def test_the_self_mask_key_written_out() -> None:
    seed = hashlib.sha256(b"a seed").digest()
    info = (
        b"straggler-testbed/v1/self-mask\0"
        + b"session-16-bytes"
        + bytes.fromhex("00000007000000020000000500000005")
    )
    assert self_mask_key(SUM, seed, 5) == hkdf(seed, b"", info, 32)
    assert (
        self_mask_key(SUM, seed, 5).hex()
        == "3c908b96fe198f2e9911c20e4eed2d4982e8ccc592bedec762d895ea31e42e5e"
    )


def test_every_input_changes_the_key() -> None:
    """Session, round, attempt, either id, their order, either public key and the purpose."""
    one, two = Party(1, b"1" * 32), Party(2, b"2" * 32)
    shared = b"z" * 32
    keys = [
        pairwise_key(Purpose.SEAL, SUM, shared, (one, two)),
        pairwise_key(Purpose.SEAL, SUM, shared, (two, one)),
        pairwise_key(Purpose.PAIRWISE_MASK, SUM, shared, (one, two)),
        pairwise_key(Purpose.SEAL, Sum(b"another-session-", 7, 2), shared, (one, two)),
        pairwise_key(Purpose.SEAL, Sum(SUM.session, 8, 2), shared, (one, two)),
        pairwise_key(Purpose.SEAL, Sum(SUM.session, 7, 3), shared, (one, two)),
        pairwise_key(Purpose.SEAL, SUM, shared, (Party(3, one.public), two)),
        pairwise_key(Purpose.SEAL, SUM, shared, (one, Party(3, two.public))),
        pairwise_key(Purpose.SEAL, SUM, shared, (Party(1, b"x" * 32), two)),
        pairwise_key(Purpose.SEAL, SUM, shared, (one, Party(2, b"x" * 32))),
        pairwise_key(Purpose.SEAL, SUM, b"y" * 32, (one, two)),
        self_mask_key(SUM, shared, 1),
        self_mask_key(SUM, shared, 2),
    ]
    assert len(set(keys)) == len(keys)


def test_generated_secrets_are_clamped_and_in_the_field() -> None:
    pair_ = KeyPair.generate(lambda size: b"\xff" * size)
    assert pair_.secret == b"\xf8" + b"\xff" * 30 + b"\x7f"
    assert KeyPair.from_secret(pair_.secret) == pair_


LOW_ORDER = {
    # Points of small order of Curve25519 and their unreduced forms (RFC 7748 §6.1, §7).
    "zero": "00" * 32,
    "one": "01" + "00" * 31,
    "order 8": "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "order 8, the other": "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "p - 1": "ec" + "ff" * 30 + "7f",
    "p": "ed" + "ff" * 30 + "7f",
    "p + 1": "ee" + "ff" * 30 + "7f",
}


@pytest.mark.parametrize("public", LOW_ORDER.values(), ids=LOW_ORDER.keys())
def test_low_order_keys_are_refused(public: str) -> None:
    with pytest.raises(ProtocolError, match="low order"):
        pair_of(ALICE).agree(bytes.fromhex(public))


PARCEL = Parcel(b"k" * 32, b"b" * 32, b"a note")


def pairings() -> tuple[bytes, bytes]:
    """Alice's key to send and Bob's to receive."""
    alice = OwnKeys(3, pair_of(ALICE), pair_of(ALICE))
    bob = OwnKeys(10, pair_of(BOB), pair_of(BOB))
    to_bob = pair(alice, 10, bob.public, SUM)
    from_alice = pair(bob, 3, alice.public, SUM)
    assert to_bob.receive_key == from_alice.send_key != to_bob.send_key
    return to_bob.send_key, from_alice.receive_key


@settings(max_examples=50)
@given(note=st.binary(max_size=NOTE_BYTES))
def test_sealing_round_trips_and_hides_the_length(note: bytes) -> None:
    send, receive = pairings()
    sealed = seal(Parcel(b"k" * 32, b"b" * 32, note), send, SUM, (3, 10))
    assert len(sealed) == SEALED_BYTES
    assert unseal(sealed, receive, SUM, (3, 10)) == Parcel(b"k" * 32, b"b" * 32, note)


def misrouted() -> Iterator[tuple[str, bytes, Sum, tuple[int, int]]]:
    send, _ = pairings()
    sealed = seal(PARCEL, send, SUM, (3, 10))
    flipped = bytes([sealed[0] ^ 1]) + sealed[1:]
    yield "damaged", flipped, SUM, (3, 10)
    yield "truncated", sealed[:-1], SUM, (3, 10)
    yield "empty", b"", SUM, (3, 10)
    yield "other sender", sealed, SUM, (4, 10)
    yield "other recipient", sealed, SUM, (3, 11)
    yield "reflected", sealed, SUM, (10, 3)
    yield "other session", sealed, Sum(b"another-session-", 7, 2), (3, 10)
    yield "other round", sealed, Sum(SUM.session, 8, 2), (3, 10)
    yield "other attempt", sealed, Sum(SUM.session, 7, 3), (3, 10)


@pytest.mark.parametrize("case", list(misrouted()), ids=lambda case: case[0])
def test_what_was_sealed_for_something_else_does_not_open(
    case: tuple[str, bytes, Sum, tuple[int, int]],
) -> None:
    """Even under the same key: the associated data binds the message to its place."""
    send, _ = pairings()
    with pytest.raises(ProtocolError):
        unseal(case[1], send, case[2], case[3])


@pytest.mark.parametrize(
    "plaintext",
    [
        bytes.fromhex("00000004 0000000a") + bytes(64) + b"\0\0" + bytes(126),
        bytes.fromhex("00000003 0000000b") + bytes(64) + b"\0\0" + bytes(126),
        bytes.fromhex("00000003 0000000a") + bytes(64) + b"\0\x7f" + bytes(126),
        bytes.fromhex("00000003 0000000a") + bytes(64) + b"\0\0" + bytes(125) + b"x",
    ],
    ids=["sender", "recipient", "note's length", "padding"],
)
def test_a_peer_that_seals_nonsense_is_refused(plaintext: bytes) -> None:
    send, _ = pairings()
    associated = b"straggler-testbed/v1/sealed\0" + SUM.encoded()
    associated += bytes.fromhex("00000003 0000000a")
    sealed = ChaCha20Poly1305(send).encrypt(bytes(12), plaintext, associated)
    with pytest.raises(ProtocolError, match="malformed"):
        unseal(sealed, send, SUM, (3, 10))


def test_our_own_mistakes() -> None:
    with pytest.raises(LocalError, match="at most"):
        seal(Parcel(b"k" * 32, b"b" * 32, bytes(NOTE_BYTES + 1)), b"k" * 32, SUM, (1, 2))
    with pytest.raises(LocalError, match="16 bytes"):
        Sum(b"short", 1, 1)
    for round_, attempt in ((0, 1), (1, 0), (2**32, 1), (1, 2**32)):
        with pytest.raises(LocalError, match="count from 1"):
            Sum(SUM.session, round_, attempt)
    with pytest.raises(LocalError, match="instead of 32"):
        KeyPair.generate(lambda size: b"")


def test_secrets_stay_out_of_repr() -> None:
    for value in (
        pair_of(ALICE),
        PARCEL,
        pairwise_mask(pair_of(ALICE), (1, 2), pair_of(BOB).public, SUM),
    ):
        assert "kkkk" not in repr(value)
        assert "secret" not in repr(value)
        assert "key=" not in repr(value)
