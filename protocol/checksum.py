"""The checksum at the end of an upload: AES-256-GMAC, several times as fast as a digest.

GMAC (NIST SP 800-38D) is a universal hash: whatever was cut, altered or mixed up without knowing
the key passes with a chance of at most (blocks + 1) / 2^128, 2^-106 for 40 MB. The key is derived
(HKDF-SHA256, RFC 5869) from what admits the worker, the round and the attempt, so that no upload
passes for another client's, round's or attempt's, and the fixed nonce is met by one vector only.
It is no signature: whoever reads an unencrypted connection knows the key.
"""

import hmac
from struct import Struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.sizes import KEY_BYTES

_LABEL = b"straggler-testbed/v1/upload\0"
_PLACE = Struct(">II")
_ZERO_NONCE = bytes(12)


class UploadChecksum:
    """Of one upload: `update` with the vector's bytes in order, then `digest` once."""

    def __init__(self, credential: str, place: tuple[int, int]) -> None:
        info = _LABEL + _PLACE.pack(*place)
        hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info)
        key = hkdf.derive(credential.encode())
        self._context = Cipher(AES(key), GCM(_ZERO_NONCE)).encryptor()

    def update(self, piece: bytes | memoryview) -> None:
        self._context.authenticate_additional_data(piece)

    def digest(self) -> bytes:
        """16 bytes (`protocol.sizes.CHECKSUM_BYTES`)."""
        self._context.finalize()
        return self._context.tag

    def matches(self, digest: bytes) -> bool:
        """Instead of `digest`, at the receiving end."""
        return hmac.compare_digest(self.digest(), digest)
