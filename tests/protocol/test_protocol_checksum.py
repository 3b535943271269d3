"""The checksum of uploads: by another implementation, and against what goes wrong on a wire."""

from hashlib import sha256
from itertools import pairwise

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.checksum import UploadChecksum
from protocol.sizes import CHECKSUM_BYTES
from tests.protocol.test_secagg_keys import hkdf

VECTOR = b"".join(sha256(bytes([i])).digest() for i in range(100))
CREDENTIAL, PLACE = "3.secret", (7, 2)


def checksum(data: bytes, credential: str = CREDENTIAL, place: tuple[int, int] = PLACE) -> bytes:
    context = UploadChecksum(credential, place)
    context.update(data)
    return context.digest()


def test_it_is_gmac_under_a_key_derived_from_credential_and_place() -> None:
    """The derivation written out; GMAC is GCM that encrypts nothing (SP 800-38D, 3)."""
    info = b"straggler-testbed/v1/upload\0" + (7).to_bytes(4) + (2).to_bytes(4)
    key = hkdf(CREDENTIAL.encode(), b"", info, 32)
    assert checksum(VECTOR) == AESGCM(key).encrypt(bytes(12), b"", VECTOR)
    assert len(checksum(VECTOR)) == CHECKSUM_BYTES


def test_golden() -> None:
    """Made once with the above: workers and coordinators of different versions must agree."""
    assert checksum(b"a vector").hex() == "5f4255623ec65801832b91e7d448fdcd"


def test_it_belongs_to_one_client_round_and_attempt() -> None:
    others = [("4.secret", PLACE), (CREDENTIAL, (8, 2)), (CREDENTIAL, (7, 3)), (CREDENTIAL, (2, 7))]
    assert len({checksum(VECTOR), *(checksum(VECTOR, *other) for other in others)}) == 5


@given(st.lists(st.integers(0, len(VECTOR)), max_size=5))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(VECTOR)]
    context = UploadChecksum(CREDENTIAL, PLACE)
    for start, stop in pairwise(bounds):
        context.update(memoryview(VECTOR)[start:stop])
    assert context.matches(checksum(VECTOR))


@given(st.integers(0, len(VECTOR) - 1), st.integers(0, len(VECTOR)), st.integers(1, 255))
def test_whatever_is_altered_or_cut_is_noticed(at: int, length: int, flip: int) -> None:
    altered = bytearray(VECTOR)
    altered[at] ^= flip
    assume(length < len(VECTOR))
    for wrong in (bytes(altered), VECTOR[:length], VECTOR[:at] + VECTOR[at + 1 :], VECTOR + b"\0"):
        context = UploadChecksum(CREDENTIAL, PLACE)
        context.update(wrong)
        assert not context.matches(checksum(VECTOR))
