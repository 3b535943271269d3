"""The same two machines with nothing computed: for fleets whose cryptography is only charged.

Every message has the form, the recipients and the length of a real one, every check of who may say
what when is the real machine's; keys are any bytes, shares are zeros, notes travel in the clear and
nothing is masked. They protect nothing, and stand in only under a virtual clock.
"""

from collections.abc import Iterable, Sequence

from protocol.errors import ProtocolError
from protocol.messages import PublicKeys
from protocol.secagg import cost
from protocol.secagg.client import ClientMachine, Step
from protocol.secagg.keys import KeyPair, Parcel
from protocol.secagg.masks import Mask
from protocol.secagg.pairing import OwnKeys, Pairing
from protocol.secagg.ring import Words
from protocol.secagg.server import ServerMachine
from protocol.sizes import KEY_BYTES, NOTE_BYTES, SEALED_BYTES, SHARE_BYTES

_NO_SHARE = bytes(SHARE_BYTES)
_PAIRING = Pairing(b"", b"", Mask(b"", 1))


class NoMasks:
    """Instead of `protocol.secagg.masks.Masks`."""

    def apply(self, words: Words, offset: int) -> None:
        """Adds nothing."""


class ModelledClient(ClientMachine):
    """A client whose steps cost their tally and no time."""

    def advertise(self) -> PublicKeys:
        after = self._due(Step.ADVERTISE)
        sealing, masking = (KeyPair(b"", self._randomness(KEY_BYTES)) for _ in range(2))
        self._own = OwnKeys(self.client, sealing, masking)
        self._enter(after, cost.advertise())
        return PublicKeys(self._sum.round, self._sum.attempt, sealing.public, masking.public)

    def _pair(self, own: OwnKeys, peer: int, publics: tuple[bytes, bytes]) -> Pairing:
        return _PAIRING

    def _split(self, seed: bytes, note: bytes) -> dict[int, Parcel]:
        parcel = Parcel(_NO_SHARE, _NO_SHARE, note)
        return dict.fromkeys(sorted(self._holders & {self.client, *self._pairings}), parcel)

    def _seal(self, peer: int, parcel: Parcel) -> bytes:
        return (len(parcel.note).to_bytes(2) + parcel.note).ljust(SEALED_BYTES, b"\0")

    def _open(self, peer: int, sealed: bytes) -> Parcel:
        size = int.from_bytes(sealed[:2])
        if len(sealed) != SEALED_BYTES or size > NOTE_BYTES:
            raise ProtocolError(f"shares from client {peer} have a wrong length")
        return Parcel(_NO_SHARE, _NO_SHARE, sealed[2 : 2 + size])

    def _masks_with(self, peers: Iterable[int]) -> NoMasks:
        return NoMasks()


class ModelledServer(ServerMachine):
    """A coordinator that has no secret to combine."""

    def masks_of(self, owners: Sequence[int]) -> tuple[Mask, ...]:
        return ()
