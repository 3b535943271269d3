"""The coordinator's side of one secure sum, as a pure state machine.

It collects, forwards and closes each phase when told to: how long to wait is not its business.
Whoever is missing when a phase closes is lost from then on. A refusal changes nothing, so one
client's bad message costs the others nothing. It never sees an update: vectors are added up in
`protocol.secagg.aggregate`, and what must be subtracted from their sum is all that it works out.
"""

from collections.abc import Container, Mapping, Sequence, Set
from dataclasses import replace
from enum import IntEnum

from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.messages import Delivery, PublicKeys, Roster, SealedShares, Survivors, Unmask
from protocol.secagg import cost
from protocol.secagg.graph import Graph
from protocol.secagg.keys import KeyPair, Sum, self_mask_key
from protocol.secagg.masks import Mask
from protocol.secagg.pairing import pairwise_mask
from protocol.secagg.shares import Recovery, element
from protocol.secagg.terms import Terms
from protocol.work import Tally


class Phase(IntEnum):
    """What is being collected. They follow each other; `close_*` goes to the next."""

    KEYS = 1
    SHARES = 2
    VECTORS = 3
    UNMASKING = 4
    DONE = 5


class ServerMachine:
    """One secure sum. `tally` is what the latest step took."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.phase = Phase.KEYS
        self.tally: Tally = {}
        self._keys: dict[int, tuple[bytes, bytes]] = {}
        self._publics: set[bytes] = set()
        self._sealed: dict[int, Mapping[int, bytes]] = {}
        self._added: set[int] = set()
        self._answered: set[int] = set()
        self._shares: dict[int, dict[int, bytes]] = {}
        """What was revealed of the one secret of each owner, by index; at most threshold-many."""
        self._recoverable = 0
        """Owners of whom enough was revealed."""
        self._untold: list[int] = []
        """Those among them that have not been handed out."""
        self._multiplications = 0
        self._agreements = 0

    # --- keys

    def receive_keys(self, client: int, message: PublicKeys) -> None:
        self._check(Phase.KEYS, client, message, self.terms.graph.clients)
        self._check_first(client, self._keys)
        both = (message.sealing, message.masking)
        if both[0] == both[1] or self._publics.intersection(both):
            raise ProtocolError(f"client {client} advertises a key that is in use")
        self._keys[client] = both
        self._publics.update(both)

    def close_keys(self, graph: Graph | None = None) -> frozenset[int]:
        """End the phase; return who takes part from here on. `graph`: what is known only now,
        where clients choose."""
        terms = self.terms if graph is None else replace(self.terms, graph=graph)
        return self._close(Phase.KEYS, self._keys.keys(), terms)

    def roster_for(self, client: int) -> Roster:
        """The public keys of `client` and those neighbours that advertised."""
        self._check_reached(Phase.SHARES, client, self._keys)
        members = self._near(client, self._keys.keys())
        keys = {member: self._keys[member] for member in members}
        return Roster(self._sum.round, self._sum.attempt, keys)

    # --- shares

    def receive_shares(self, client: int, message: SealedShares) -> None:
        self._check(Phase.SHARES, client, message, self._keys)
        self._check_first(client, self._sealed)
        peers = set(self.terms.graph.holders(client)) & self._keys.keys() - {client}
        if message.sealed.keys() != peers:
            raise ProtocolError(
                f"client {client} sealed shares for other recipients than its peers"
            )
        self._sealed[client] = dict(message.sealed)

    def close_shares(self) -> frozenset[int]:
        """End the phase; return whose vectors may be added."""
        return self._close(Phase.SHARES, self._sealed.keys())

    def delivery_for(self, client: int) -> Delivery:
        """What was sealed for `client`, and who of its other holders shared."""
        self._check_reached(Phase.VECTORS, client, self._sealed)
        if self.phase is not Phase.VECTORS:
            raise LocalError(f"deliveries are over in {self._phase_name()}")
        senders = self._owners_held_by(client) - {client}
        sealed = {sender: self._sealed[sender][client] for sender in sorted(senders)}
        silent = set(self.terms.graph.holders(client)) - senders - {client}
        present = tuple(sorted(silent & self._sealed.keys()))
        return Delivery(self._sum.round, self._sum.attempt, sealed, present)

    # --- vectors

    def check_vector(self, client: int) -> None:
        """Raise ProtocolError unless `client`'s vector may be added now."""
        if self.phase is not Phase.VECTORS:
            raise ProtocolError(f"a vector of client {client} is not due in {self._phase_name()}")
        if client not in self._sealed:
            raise ProtocolError(f"client {client} has no part in this sum")
        self._check_first(client, self._added)

    def vector_added(self, client: int) -> None:
        """`client`'s whole vector is in the sum."""
        self.check_vector(client)
        self._added.add(client)

    def close_vectors(self) -> frozenset[int]:
        """End the phase; return the survivors, whose sum will be known."""
        survivors = self._close(Phase.VECTORS, self._added)
        self._sealed = {client: {} for client in self._sealed}  # forwarded: only who is needed now
        return survivors

    @property
    def survivors(self) -> frozenset[int]:
        """Whose vectors are in the sum, so far or for good."""
        return frozenset(self._added)

    def survivors_for(self, client: int) -> Survivors:
        """Who survived, as far as `client` has to know."""
        self._check_reached(Phase.UNMASKING, client, self._added)
        return Survivors(self._sum.round, self._sum.attempt, self._near(client, self._added))

    # --- unmasking

    def receive_unmask(self, client: int, message: Unmask) -> None:
        self._check(Phase.UNMASKING, client, message, self._added)
        self._check_first(client, self._answered)
        owed = self._owners_held_by(client)
        if message.masking_key_shares.keys() != owed - self._added:
            raise ProtocolError(f"client {client} reveals other masking keys than of the lost")
        if message.self_seed_shares.keys() != owed & self._added:
            raise ProtocolError(f"client {client} reveals other seeds than of the survivors")
        revealed = {**message.masking_key_shares, **message.self_seed_shares}
        for share in revealed.values():
            element(share)
        self._answered.add(client)
        for owner, share in revealed.items():
            self._keep(owner, self.terms.position(client), share)

    def _keep(self, owner: int, index: int, share: bytes) -> None:
        shares = self._shares.setdefault(owner, {})
        if len(shares) < self.terms.threshold:
            shares[index] = share
            if len(shares) == self.terms.threshold:
                self._recoverable += 1
                self._untold.append(owner)

    @property
    def recoverable(self) -> bool:
        """Whether enough shares are in: nobody else need be waited for."""
        return self.phase is Phase.UNMASKING and self._recoverable == len(self._sealed)

    def take_recoverable(self) -> tuple[int, ...]:
        """Whose secrets can be combined by now, each told once: for `masks_of`."""
        untold, self._untold = tuple(self._untold), []
        return untold

    def masks_of(self, owners: Sequence[int]) -> tuple[Mask, ...]:
        """What to apply to the vectors' sum on account of recoverable owners: the own mask of each
        survivor, and what survivors masked with each lost client.

        May run in a thread of its own, one call at a time, while further answers are received.
        ProtocolError if shares of a lost client's key are false: whose, cannot be told, so the sum
        is lost.
        """
        masks: list[Mask] = []
        agreements, recovery = 0, Recovery()
        for owner in owners:
            if owner in self._added:
                masks.append(self._self_mask(owner, recovery))
            else:
                left_over = self._left_over(owner, recovery)
                agreements += 1 + len(left_over)
                masks += left_over
        self._multiplications += recovery.multiplications
        self._agreements += agreements
        return tuple(masks)

    def close_unmasking(self) -> tuple[Mask, ...]:
        """End the sum; return all masks that `masks_of` was not asked for: with them applied, the
        vectors' sum is the updates'. `tally` is that of all masks.

        TooFewSurvivors if shares are lacking; ProtocolError as in `masks_of`.
        """
        if self.phase is not Phase.UNMASKING:
            raise LocalError(f"unmasking cannot be closed in {self._phase_name()}")
        self.check_enough(self._answered)
        masks = self.masks_of(self._untold)
        self._untold = []
        self.phase = Phase.DONE
        self.tally = cost.recover(self._multiplications, self._agreements)
        return masks

    def _self_mask(self, client: int, recovery: Recovery) -> Mask:
        seed = recovery.recover(self._shares[client], self.terms.threshold)
        return Mask(self_mask_key(self._sum, seed, client), -1)

    def _left_over(self, lost: int, recovery: Recovery) -> list[Mask]:
        """The masks that survivors applied for a peer whose vector never came: as the lost peer
        would have applied them, which cancels."""
        secret = recovery.recover(self._shares[lost], self.terms.threshold)
        masking = KeyPair.from_secret(secret)
        if masking.public != self._keys[lost][1]:
            raise ProtocolError(f"the shares of client {lost}'s masking key do not give that key")
        return [
            pairwise_mask(masking, (lost, partner), self._keys[partner][1], self._sum)
            for partner in self._near(lost, self._added)
        ]

    # --- rules

    @property
    def _sum(self) -> Sum:
        return self.terms.sum

    def _near(self, client: int, present: Set[int]) -> tuple[int, ...]:
        """`client` and its neighbours, as far as present, ascending."""
        circle = {client, *self.terms.graph.neighbours(client)}
        return tuple(sorted(circle & present))

    def _owners_held_by(self, client: int) -> set[int]:
        """Whose secrets `client` holds shares of, among those who shared."""
        return {o for o in self.terms.graph.owners(client) if o in self._sealed}

    def check_enough(self, present: Set[int], after: str = "", graph: Graph | None = None) -> None:
        """TooFewSurvivors unless every secret that may have to be recovered has enough holders
        among those present `after` a step."""
        graph = graph or self.terms.graph
        owners = self._sealed.keys() if self._sealed else present
        circles = {graph.holders(owner) for owner in owners}
        fewest = min((len(present & set(circle)) for circle in circles), default=0)
        if fewest < self.terms.threshold:
            raise TooFewSurvivors(
                f"{len(present)} clients are left after {after or self._phase_name()}; each secret"
                f" needs {self.terms.threshold} holders of shares and one has {fewest}"
            )

    def _close(self, phase: Phase, present: Set[int], terms: Terms | None = None) -> frozenset[int]:
        """`terms`: those that hold from here on, if they change."""
        if self.phase is not phase:
            raise LocalError(f"{phase.name.lower()} cannot be closed in {self._phase_name()}")
        terms = terms or self.terms
        self.check_enough(present, graph=terms.graph)
        self.terms = terms
        self.phase = Phase(phase + 1)
        self.tally = {}
        return frozenset(present)

    def _check(
        self,
        phase: Phase,
        client: int,
        message: PublicKeys | SealedShares | Unmask,
        members: Container[int],
    ) -> None:
        name = type(message).__name__
        if self.phase is not phase:
            raise ProtocolError(f"{name} of client {client} is not due in {self._phase_name()}")
        if (message.round, message.attempt) != (self._sum.round, self._sum.attempt):
            raise ProtocolError(f"{name} of client {client} is of another round or attempt")
        if client not in members:
            raise ProtocolError(f"client {client} has no part in this sum")

    @staticmethod
    def _check_first(client: int, seen: Container[int]) -> None:
        if client in seen:
            raise ProtocolError(f"client {client} sends a second time")

    def _check_reached(self, phase: Phase, client: int, members: Container[int]) -> None:
        if self.phase < phase:
            raise LocalError(f"not ready for {phase.name.lower()}: still {self._phase_name()}")
        if client not in members:
            raise LocalError(f"client {client} has no part in this sum")

    def _phase_name(self) -> str:
        return f"phase {self.phase.name.lower()}"
