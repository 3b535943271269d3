"""A client's side of one secure sum, as a pure state machine.

Two laws. A refusal changes nothing: every check comes before the first assignment. And no answer
may help to open a single update: at most one masked vector per machine, and never both secrets of
one peer. It knows no socket, clock, model or strategy; a machine serves one attempt and is thrown
away. A caller that must send something again keeps the bytes: the machine makes nothing twice.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from enum import Enum, auto
from types import MappingProxyType
from typing import Protocol

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Delivery, PublicKeys, Roster, SealedShares, Survivors, Unmask
from protocol.secagg import cost
from protocol.secagg.graph import Graph
from protocol.secagg.keys import KeyPair, Parcel, Randomness, Sum, seal, self_mask_key, unseal
from protocol.secagg.masks import Mask, Masks
from protocol.secagg.pairing import OwnKeys, Pairing, pair
from protocol.secagg.ring import Words
from protocol.secagg.shares import draw_element, element, split
from protocol.secagg.terms import Terms
from protocol.sizes import NOTE_BYTES
from protocol.work import Tally


class Phase(Enum):
    """What the machine has done last."""

    NEW = auto()
    ADVERTISED = auto()
    ROSTERED = auto()
    SHARED = auto()
    DELIVERED = auto()
    MASKED = auto()
    UNMASKED = auto()


class Step(Enum):
    """What may be asked of it."""

    ADVERTISE = auto()
    RECEIVE_ROSTER = auto()
    SHARE = auto()
    RECEIVE_DELIVERY = auto()
    MASK = auto()
    UNMASK = auto()


TRANSITIONS: Mapping[tuple[Phase, Step], Phase] = MappingProxyType(
    {
        (Phase.NEW, Step.ADVERTISE): Phase.ADVERTISED,
        (Phase.ADVERTISED, Step.RECEIVE_ROSTER): Phase.ROSTERED,
        (Phase.ROSTERED, Step.SHARE): Phase.SHARED,
        (Phase.SHARED, Step.RECEIVE_DELIVERY): Phase.DELIVERED,
        (Phase.DELIVERED, Step.MASK): Phase.MASKED,
        (Phase.MASKED, Step.MASK): Phase.MASKED,  # the next range of the same vector
        (Phase.MASKED, Step.UNMASK): Phase.UNMASKED,
    }
)
"""All that is legal; whatever is not listed is refused."""

_THEIRS = frozenset({Step.RECEIVE_ROSTER, Step.RECEIVE_DELIVERY, Step.UNMASK})
"""Steps that a message of the coordinator asks for: out of turn, they are its fault."""


class Masking(Protocol):
    """What is added to a vector, range by range."""

    def apply(self, words: Words, offset: int) -> None: ...


class ClientMachine:
    """One client of one secure sum. `tally` is what the latest step took."""

    def __init__(self, client: int, terms: Terms, randomness: Randomness) -> None:
        if client not in terms.graph.clients:
            raise LocalError(f"client {client} takes no part in this sum")
        self.client = client
        self.terms = terms
        self.phase = Phase.NEW
        self.tally: Tally = {}
        self._randomness = randomness
        self._holders = frozenset(terms.graph.holders(client))
        self._owners = frozenset(terms.graph.owners(client))
        self._own: OwnKeys | None = None
        self._masking_secret = b""
        self._self_seed = b""
        self._pairings: Mapping[int, Pairing] = {}
        self._parcels: Mapping[int, Parcel] = {}
        """By owner of the secrets; this client's own among them where the graph says so."""
        self._peers: frozenset[int] = frozenset()
        """Whose shares were delivered (U2 of the paper without this client)."""
        self._masks: Masking | None = None
        self._masked_words = 0
        self._word: object = None
        """Kind of the words masked so far: another width would read the same keystream twice."""

    def advertise(self) -> PublicKeys:
        """Draw both key pairs; the public halves are for everyone."""
        after = self._due(Step.ADVERTISE)
        sealing, masking = (KeyPair.generate(self._randomness) for _ in range(2))
        self._own = OwnKeys(self.client, sealing, masking)
        self._masking_secret = masking.secret
        self._enter(after, cost.advertise())
        return PublicKeys(self._sum.round, self._sum.attempt, sealing.public, masking.public)

    def receive_roster(self, roster: Roster, graph: Graph | None = None) -> None:
        """Take the public keys of the neighbours that are still there; agree with each.

        `graph`: what is known only now, where clients choose: who chose this one."""
        terms = self.terms if graph is None else replace(self.terms, graph=graph)
        after = self._due(Step.RECEIVE_ROSTER)
        self._check_sum(roster)
        own = self._own
        if own is None or roster.keys.get(self.client) != own.public:
            raise ProtocolError("roster: lacks this client's own keys as it advertised them")
        peers = sorted(roster.keys.keys() - {self.client})
        self._check_members("roster", peers, set(terms.graph.neighbours(self.client)))
        publics = [key for both in roster.keys.values() for key in both]
        if len(set(publics)) != len(publics):
            raise ProtocolError("roster: holds a public key twice")
        self._check_enough("roster", roster.keys.keys())
        self._pairings = {peer: self._pair(own, peer, roster.keys[peer]) for peer in peers}
        self.terms, self._owners = terms, frozenset(terms.graph.owners(self.client))
        self._enter(after, cost.receive_roster(len(peers)))

    def share_cost(self) -> Tally:
        """What `share` takes, once the roster is there."""
        holders = self._holders & {self.client, *self._pairings}
        return cost.share(len(holders), len(holders - {self.client}), self.terms.threshold)

    def share(self, note: bytes) -> SealedShares:
        """Split both secrets among the holders; seal each peer's shares and the note for it."""
        after = self._due(Step.SHARE)
        if len(note) > NOTE_BYTES:
            raise LocalError(f"a note must be at most {NOTE_BYTES} bytes, not {len(note)}")
        seed = draw_element(self._randomness)
        parcels = self._split(seed, note)
        sealed = {
            peer: self._seal(peer, parcels[peer]) for peer in self._pairings if peer in parcels
        }
        self._self_seed = seed
        self._parcels = {peer: parcel for peer, parcel in parcels.items() if peer == self.client}
        self._enter(after, self.share_cost())
        return SealedShares(self._sum.round, self._sum.attempt, sealed)

    def receive_delivery(self, delivery: Delivery) -> Mapping[int, bytes]:
        """Open what the peers sealed; return their notes. These peers and those of this client's
        holders that sealed nothing for it but shared are masked with, and no others: only of
        these can a mask be removed if they are lost."""
        after = self._due(Step.RECEIVE_DELIVERY)
        self._check_sum(delivery)
        senders, silent = sorted(delivery.sealed), self._holders - self._owners
        self._check_members("delivery", senders, self._owners & self._pairings.keys())
        self._check_members("delivery", delivery.present, silent & self._pairings.keys())
        peers = sorted({*senders, *delivery.present})
        self._check_enough("delivery", {self.client, *peers})
        opened = {peer: self._open(peer, delivery.sealed[peer]) for peer in senders}
        self._masks = self._masks_with(peers)
        self._parcels = {**self._parcels, **opened}
        self._peers = frozenset(peers)
        self._enter(after, cost.receive_delivery(len(senders)))
        return {peer: parcel.note for peer, parcel in opened.items()}

    def mask_cost(self, words: Words) -> Tally:
        """What masking these words takes."""
        return cost.masks(1 + len(self._peers), words.nbytes)

    def mask(self, words: Words, offset: int) -> None:
        """Add all masks in place to the coordinates from `offset`. Ranges must follow each other
        without gap or overlap: two vectors under one mask would lay open their difference."""
        after = self._due(Step.MASK)
        if self._masks is None or offset != self._masked_words:
            raise LocalError(f"masking must go on at {self._masked_words}, not at {offset}")
        if self._masked_words and words.dtype != self._word:
            raise LocalError("all ranges of a vector must have the same kind of words")
        self._masks.apply(words, offset)
        self._masked_words += words.size
        self._word = words.dtype
        self._enter(after, self.mask_cost(words))

    def unmask(self, survivors: Survivors) -> Unmask:
        """Give the shares that the sum needs: of each survivor's self-mask seed, of each lost
        peer's masking key. Once; the coordinator's list is checked before anything is revealed."""
        alive = self.check_survivors(survivors)
        self._enter(Phase.UNMASKED, {})
        owners = sorted(self._parcels)
        return Unmask(
            self._sum.round,
            self._sum.attempt,
            {o: self._parcels[o].masking_key_share for o in owners if o not in alive},
            {o: self._parcels[o].self_seed_share for o in owners if o in alive},
        )

    def check_survivors(self, survivors: Survivors) -> frozenset[int]:
        """The survivors, if `unmask` would answer this list; ProtocolError otherwise."""
        if self.phase is Phase.UNMASKED:
            raise ProtocolError("survivors: named a second time; shares are revealed once only")
        self._due(Step.UNMASK)
        self._check_sum(survivors)
        alive = frozenset(survivors.clients)
        if len(alive) != len(survivors.clients):
            raise ProtocolError("survivors: a client is named twice")
        if self.client not in alive:
            raise ProtocolError("survivors: this client itself is said to be lost")
        self._check_members("survivors", sorted(alive), self._peers | {self.client})
        self._check_enough("survivors", alive)
        return alive

    @property
    def held(self) -> frozenset[int]:
        """Whose shares this client holds, once they are delivered."""
        return frozenset(self._parcels)

    @property
    def _sum(self) -> Sum:
        return self.terms.sum

    def _due(self, step: Step) -> Phase:
        """The phase that `step` leads to. Out of turn: whose fault it is says the error's type."""
        after = TRANSITIONS.get((self.phase, step))
        if after is None:
            kind = ProtocolError if step in _THEIRS else LocalError
            raise kind(f"{step.name.lower()} is not due in phase {self.phase.name.lower()}")
        return after

    def _enter(self, phase: Phase, tally: Tally) -> None:
        self.phase, self.tally = phase, tally

    def _check_sum(self, message: Roster | Delivery | Survivors) -> None:
        if (message.round, message.attempt) != (self._sum.round, self._sum.attempt):
            raise ProtocolError(
                f"{type(message).__name__.lower()}: is of round {message.round}, attempt"
                f" {message.attempt} instead of {self._sum.round}, {self._sum.attempt}"
            )

    @staticmethod
    def _check_members(name: str, clients: Sequence[int], allowed: Set[int]) -> None:
        if strangers := [client for client in clients if client not in allowed]:
            raise ProtocolError(f"{name}: client {strangers[0]} has no place in it")

    def _check_enough(self, name: str, alive: Set[int]) -> None:
        holders = len(self._holders & alive)
        if holders < self.terms.threshold:
            raise ProtocolError(
                f"{name}: {holders} holders of shares are fewer than the threshold"
                f" {self.terms.threshold}"
            )

    def _pair(self, own: OwnKeys, peer: int, publics: tuple[bytes, bytes]) -> Pairing:
        return pair(own, peer, publics, self._sum)

    def _seal(self, peer: int, parcel: Parcel) -> bytes:
        return seal(parcel, self._pairings[peer].send_key, self._sum, (self.client, peer))

    def _masks_with(self, peers: Iterable[int]) -> Masking:
        own_mask = Mask(self_mask_key(self._sum, self._self_seed, self.client), 1)
        masks = [own_mask, *(self._pairings[peer].mask for peer in peers)]
        return Masks(masks, self.terms.keystream)

    def _split(self, seed: bytes, note: bytes) -> dict[int, Parcel]:
        """A parcel for each holder of this client's secrets."""
        holders = sorted(self._holders & {self.client, *self._pairings})
        indices, threshold = [self.terms.position(h) for h in holders], self.terms.threshold
        keys = split(self._masking_secret, threshold, indices, self._randomness)
        seeds = split(seed, threshold, indices, self._randomness)
        return {h: Parcel(keys[i], seeds[i], note) for h, i in zip(holders, indices, strict=True)}

    def _open(self, peer: int, sealed: bytes) -> Parcel:
        """A peer's parcel. Its shares must be elements of the field, or combining would fail."""
        key = self._pairings[peer].receive_key
        parcel = unseal(sealed, key, self._sum, (peer, self.client))
        element(parcel.masking_key_share)
        element(parcel.self_seed_share)
        return parcel
