"""Against an active coordinator, on the complete graph: Bonawitz et al.'s signed variant.

What a semi-honest coordinator is believed, it has to prove here. Public keys are signed by their
clients' identities, which every client knows from elsewhere (pinned, never learnt from the
coordinator), so none can be replaced or invented; and a client reveals shares only once at least
threshold-many survivors have signed the same list, so no two groups can be told different ones.
Both signatures cover participants and threshold. The machines of the semi-honest protocol do the
rest unchanged; these stand around them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.identity import Identity, verify_signature
from protocol.messages import (
    Consistency,
    Delivery,
    PublicKeys,
    Roster,
    SealedShares,
    Signatures,
    Survivors,
    Unmask,
)
from protocol.secagg import cost
from protocol.secagg.client import ClientMachine
from protocol.secagg.graph import CompleteGraph
from protocol.secagg.ring import Words
from protocol.secagg.server import Phase, ServerMachine
from protocol.secagg.terms import Terms
from protocol.secagg.threshold import check_threshold
from protocol.work import Tally, total

_LABEL = b"straggler-testbed/v1/"


class Pinned:
    """Everyone's identity, from outside, and what they sign in one sum."""

    def __init__(self, terms: Terms, identities: Mapping[int, bytes], corrupt: int) -> None:
        """`corrupt`: how many clients may be in league with the coordinator."""
        clients = terms.graph.clients
        if not isinstance(terms.graph, CompleteGraph):
            raise LocalError("against an active coordinator the graph must be complete")
        check_threshold(len(clients), terms.threshold, corrupt, active=True)
        if missing := [client for client in clients if client not in identities]:
            raise LocalError(f"client {missing[0]} has no pinned identity")
        if len({identities[client] for client in clients}) != len(clients):
            raise LocalError("two clients have one pinned identity")
        self._identities = identities
        everyone = b"".join(client.to_bytes(4) for client in clients)
        agreed = hashlib.sha256(terms.threshold.to_bytes(4) + everyone).digest()
        self._place = terms.sum.encoded() + agreed

    def keys_statement(self, client: int, keys: tuple[bytes, bytes]) -> bytes:
        """Label ‖ sum ‖ SHA-256 of threshold and participants ‖ client ‖ both public keys."""
        return _LABEL + b"keys\0" + self._place + client.to_bytes(4) + keys[0] + keys[1]

    def survivors_statement(self, survivors: tuple[int, ...]) -> bytes:
        """Label ‖ sum ‖ SHA-256 of threshold and participants ‖ the survivors, ascending."""
        alive = b"".join(client.to_bytes(4) for client in sorted(survivors))
        return _LABEL + b"survivors\0" + self._place + alive

    def verify(self, client: int, statement: bytes, signature: bytes) -> None:
        identity = self._identities.get(client)
        if identity is None:
            raise ProtocolError(f"client {client} has no pinned identity")
        try:
            verify_signature(statement, signature, identity)
        except ProtocolError:
            raise ProtocolError(f"the signature of client {client} does not match") from None


class SignedClient:
    """A client that believes the coordinator nothing. It has the machine to itself: shares leave
    it by way of `sign` and `unmask` here and no other."""

    def __init__(self, machine: ClientMachine, identity: Identity, pinned: Pinned) -> None:
        self.client = machine.client
        self.terms = machine.terms
        self._machine = machine
        self.tally: Tally = {}
        self._identity = identity
        self._pinned = pinned
        self._signed: Survivors | None = None

    def advertise(self) -> PublicKeys:
        message = self._machine.advertise()
        keys = (message.sealing, message.masking)
        statement = self._pinned.keys_statement(self.client, keys)
        self.tally = total(self._machine.tally, cost.signatures(made=1, checked=0))
        return replace(message, signature=self._identity.sign(statement))

    def receive_roster(self, roster: Roster) -> None:
        """Every key on the roster is its client's own, signed for this sum and these terms."""
        if roster.signatures.keys() != roster.keys.keys():
            raise ProtocolError("roster: keys and signatures are not of the same clients")
        for client, keys in roster.keys.items():
            statement = self._pinned.keys_statement(client, keys)
            self._pinned.verify(client, statement, roster.signatures[client])
        self._machine.receive_roster(roster)
        checked = cost.signatures(made=0, checked=len(roster.keys))
        self.tally = total(self._machine.tally, checked)

    def share_cost(self) -> Tally:
        return self._machine.share_cost()

    def share(self, note: bytes) -> SealedShares:
        shares = self._machine.share(note)
        self.tally = self._machine.tally
        return shares

    def receive_delivery(self, delivery: Delivery) -> Mapping[int, bytes]:
        notes = self._machine.receive_delivery(delivery)
        self.tally = self._machine.tally
        return notes

    def mask_cost(self, words: Words) -> Tally:
        return self._machine.mask_cost(words)

    def mask(self, words: Words, offset: int) -> None:
        self._machine.mask(words, offset)
        self.tally = self._machine.tally

    def sign(self, survivors: Survivors) -> Consistency:
        """Sign the list, if it is one that could be answered. One list only: two would let the
        coordinator show different ones to different clients."""
        if self._signed is not None:
            raise ProtocolError("survivors: a list has been signed already")
        self._machine.check_survivors(survivors)
        self._signed = survivors
        self.tally = cost.signatures(made=1, checked=0)
        statement = self._pinned.survivors_statement(survivors.clients)
        return Consistency(survivors.round, survivors.attempt, self._identity.sign(statement))

    def unmask(self, message: Signatures) -> Unmask:
        """Reveal shares, now that threshold-many survivors have signed the list signed here."""
        if self._signed is None:
            raise ProtocolError("signatures: no list of survivors has been signed")
        sum_ = self.terms.sum
        if (message.round, message.attempt) != (sum_.round, sum_.attempt):
            raise ProtocolError("signatures: of another round or attempt")
        if not message.signatures.keys() <= set(self._signed.clients):
            raise ProtocolError("signatures: not all are of survivors")
        if len(message.signatures) < self.terms.threshold:
            raise ProtocolError(
                f"signatures: {len(message.signatures)} are fewer than the threshold"
                f" {self.terms.threshold}"
            )
        statement = self._pinned.survivors_statement(self._signed.clients)
        for client, signature in message.signatures.items():
            self._pinned.verify(client, statement, signature)
        self.tally = cost.signatures(made=0, checked=len(message.signatures))
        return self._machine.unmask(self._signed)


class SignedServer:
    """An honest coordinator's part: collect signatures, check them early so that one bad client
    does not stop the others, hand them on. Use `machine` for everything else."""

    def __init__(self, machine: ServerMachine, pinned: Pinned) -> None:
        self.machine = machine
        self._pinned = pinned
        self._keys: dict[int, bytes] = {}
        self._lists: dict[int, bytes] = {}
        self._closed = False

    def receive_keys(self, client: int, message: PublicKeys) -> None:
        keys = (message.sealing, message.masking)
        statement = self._pinned.keys_statement(client, keys)
        self._pinned.verify(client, statement, message.signature)
        self.machine.receive_keys(client, message)
        self._keys[client] = message.signature

    def roster_for(self, client: int) -> Roster:
        roster = self.machine.roster_for(client)
        return replace(roster, signatures={c: self._keys[c] for c in roster.keys})

    def receive_consistency(self, client: int, message: Consistency) -> None:
        if self.machine.phase is not Phase.UNMASKING or self._closed:
            raise ProtocolError(f"Consistency of client {client} is not due")
        sum_ = self.machine.terms.sum
        if (message.round, message.attempt) != (sum_.round, sum_.attempt):
            raise ProtocolError(f"Consistency of client {client} is of another round or attempt")
        if client not in self.machine.survivors or client in self._lists:
            raise ProtocolError(f"client {client} has no list to sign, or signed it before")
        statement = self._pinned.survivors_statement(tuple(self.machine.survivors))
        self._pinned.verify(client, statement, message.signature)
        self._lists[client] = message.signature

    def close_consistency(self) -> frozenset[int]:
        """End the signing; return who signed and is now asked for shares."""
        if self.machine.phase is not Phase.UNMASKING or self._closed:
            raise LocalError("consistency cannot be closed now")
        if len(self._lists) < self.machine.terms.threshold:
            raise TooFewSurvivors(
                f"{len(self._lists)} clients signed the list of survivors;"
                f" {self.machine.terms.threshold} are needed"
            )
        self._closed = True
        return frozenset(self._lists)

    def signatures_for(self, client: int) -> Signatures:
        if not self._closed or client not in self._lists:
            raise LocalError(f"there are no signatures for client {client}")
        sum_ = self.machine.terms.sum
        return Signatures(sum_.round, sum_.attempt, dict(sorted(self._lists.items())))
