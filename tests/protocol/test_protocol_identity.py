"""The join proof: it holds for one session, nonce and identity, and for nothing else."""

import pytest
from nacl.signing import SigningKey

from protocol.errors import LocalError, ProtocolError
from protocol.identity import Identity, verify_proof
from protocol.messages import Challenge, Proof

SEED = bytes(range(32))
CHALLENGE = Challenge(b"s" * 16, b"n" * 32)


def test_ed25519_golden_vector() -> None:
    """RFC 8032 §7.1, test 1: the key that a seed gives."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert Identity(seed).public.hex() == public


def test_what_is_signed() -> None:
    """The statement, written out: label ‖ session ‖ nonce ‖ identity."""
    identity = Identity(SEED)
    statement = b"straggler-testbed/v1/join" + b"s" * 16 + b"n" * 32 + identity.public
    assert identity.prove(CHALLENGE).signature == SigningKey(SEED).sign(statement).signature


def test_a_good_proof_passes() -> None:
    identity = Identity.generate(lambda size: bytes(range(size)))
    verify_proof(identity.prove(CHALLENGE), CHALLENGE, identity.public)
    assert identity.public == Identity(SEED).public


@pytest.mark.parametrize(
    ("challenge", "public"),
    [
        (Challenge(b"t" * 16, b"n" * 32), Identity(SEED).public),
        (Challenge(b"s" * 16, b"m" * 32), Identity(SEED).public),
        (CHALLENGE, Identity(b"o" * 32).public),
        (CHALLENGE, bytes(32)),  # a point of low order
        (CHALLENGE, b"short"),
        (Challenge(b"s" * 15, b"n" * 33), Identity(SEED).public),  # the same bytes, cut elsewhere
    ],
    ids=["session", "nonce", "identity", "low order", "length", "shifted"],
)
def test_a_proof_for_something_else_is_refused(challenge: Challenge, public: bytes) -> None:
    with pytest.raises(ProtocolError):
        verify_proof(Identity(SEED).prove(CHALLENGE), challenge, public)


def test_a_damaged_proof_is_refused() -> None:
    identity = Identity(SEED)
    signature = bytearray(identity.prove(CHALLENGE).signature)
    signature[0] ^= 1
    for damaged in (bytes(signature), bytes(64), b""):
        with pytest.raises(ProtocolError):
            verify_proof(Proof(damaged), CHALLENGE, identity.public)


def test_a_seed_must_have_its_length() -> None:
    with pytest.raises(LocalError):
        Identity(b"short")


def test_the_key_stays_out_of_repr() -> None:
    assert SEED.hex() not in repr(Identity(SEED))
    assert repr(SEED)[4:20] not in repr(Identity(SEED))
