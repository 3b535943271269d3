"""Who a worker is: an Ed25519 key, proved at join by signing the coordinator's challenge.

The token admits, the identity names: a worker that comes back after a lost connection is the same
client because it holds the same key. Knows no connection and keeps no list of identities.
"""

from collections.abc import Callable

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Challenge, Proof
from protocol.sizes import CHALLENGE_BYTES, KEY_BYTES, SESSION_BYTES, SIGNATURE_BYTES

_JOIN_LABEL = b"straggler-testbed/v1/join"


class Identity:
    """A signing key. Made from 32 random bytes; the same bytes give the same identity."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise LocalError(f"an identity's seed must be {KEY_BYTES} bytes, not {len(seed)}")
        self._key = SigningKey(seed)

    @classmethod
    def generate(cls, randomness: Callable[[int], bytes]) -> "Identity":
        return cls(randomness(KEY_BYTES))

    @property
    def public(self) -> bytes:
        return bytes(self._key.verify_key)

    def sign(self, statement: bytes) -> bytes:
        """Statements begin with a label of their own, so that none passes for another kind."""
        return self._key.sign(statement).signature

    def prove(self, challenge: Challenge) -> Proof:
        """Sign the challenge: the proof holds for this session, nonce and identity only."""
        return Proof(self.sign(_join_statement(challenge, self.public)))


def verify_signature(statement: bytes, signature: bytes, identity: bytes) -> None:
    """Raise ProtocolError unless `identity` signed the statement."""
    if len(identity) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise ProtocolError("wrong length of identity or signature")
    try:
        VerifyKey(identity).verify(statement, signature)
    except BadSignatureError:
        raise ProtocolError("the signature does not match") from None


def verify_proof(proof: Proof, challenge: Challenge, identity: bytes) -> None:
    """Raise ProtocolError unless `proof` answers `challenge` under `identity`."""
    verify_signature(_join_statement(challenge, identity), proof.signature, identity)


def _join_statement(challenge: Challenge, identity: bytes) -> bytes:
    """Label and fixed-length fields: no two statements share an encoding."""
    if len(challenge.session) != SESSION_BYTES or len(challenge.nonce) != CHALLENGE_BYTES:
        raise ProtocolError("challenge: wrong length of session or nonce")
    return _JOIN_LABEL + challenge.session + challenge.nonce + identity
