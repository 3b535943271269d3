"""Everyone's identity, known from elsewhere, and what they sign in one secure sum.

Against an active coordinator a client believes what other clients signed and nothing else. All
statements begin with a label of their own kind and are bound to session, round, attempt and the
terms (threshold, neighbours, participants, what is trained), so that nobody can be given other
terms than the rest.
Session and round are the coordinator's to name, and it may name old ones to a client that has
forgotten them: what is signed of survivors holds for the keys that they drew, hence once only.
"""

import hashlib
from collections.abc import Iterable, Mapping

from protocol.errors import LocalError, ProtocolError
from protocol.identity import verify_signature
from protocol.secagg.chosen_degree import Foes, check_choice
from protocol.secagg.chosen_graph import ChosenGraph
from protocol.secagg.graph import CompleteGraph
from protocol.secagg.terms import Terms
from protocol.secagg.threshold import SMALLEST_CROWD, check_threshold

Keys = tuple[bytes, bytes]
"""A client's two public keys of one sum: (sealing, masking)."""

_LABEL = b"straggler-testbed/v1/"


class Pinned:
    """The identities of one sum's participants; refuses terms that its foes break."""

    def __init__(
        self,
        terms: Terms,
        identities: Mapping[int, bytes],
        corrupt: int,
        crowd: int = SMALLEST_CROWD,
    ) -> None:
        """`corrupt`: how many clients may be in league with the coordinator. `crowd`: honest
        clients that a sum must be over, at least, if it may become known by itself."""
        clients = terms.graph.clients
        degree = _check_terms(terms, Foes(corrupt, crowd))
        if missing := [client for client in clients if client not in identities]:
            raise LocalError(f"client {missing[0]} has no pinned identity")
        if len({identities[client] for client in clients}) != len(clients):
            raise LocalError("two clients have one pinned identity")
        self._identities = identities
        agreed = _ids((terms.threshold, degree, len(clients), *clients)) + terms.training
        self._place = terms.sum.encoded() + hashlib.sha256(agreed).digest()

    def keys_statement(self, client: int, keys: Keys, chosen: tuple[int, ...] = ()) -> bytes:
        """… ‖ client ‖ both public keys ‖ the neighbours that it chose, ascending."""
        who = client.to_bytes(4) + keys[0] + keys[1]
        return _LABEL + b"keys\0" + self._place + who + _ids(chosen)

    def survivors_statement(self, survivors: Mapping[int, Keys]) -> bytes:
        """… ‖ the survivors, ascending ‖ SHA-256 of their public keys in this order."""
        ids = sorted(survivors)
        keys = hashlib.sha256(b"".join(key for client in ids for key in survivors[client]))
        return _LABEL + b"survivors\0" + self._place + _ids(ids) + keys.digest()

    def survived_statement(self, owner: int, keys: Keys) -> bytes:
        """… ‖ the one client of whom it is said that it survived ‖ its public keys."""
        return _LABEL + b"survived\0" + self._place + owner.to_bytes(4) + keys[0] + keys[1]

    def verify(self, client: int, statement: bytes, signature: bytes) -> None:
        identity = self._identities.get(client)
        if identity is None:
            raise ProtocolError(f"client {client} has no pinned identity")
        try:
            verify_signature(statement, signature, identity)
        except ProtocolError:
            raise ProtocolError(f"the signature of client {client} does not match") from None


def _check_terms(terms: Terms, foes: Foes) -> int:
    """How many neighbours each client chooses; 0 on the complete graph."""
    graph = terms.graph
    if isinstance(graph, CompleteGraph):
        clients = len(graph.clients)
        check_threshold(clients, terms.threshold, foes.corrupt, active=True, crowd=foes.crowd)
        return 0
    if isinstance(graph, ChosenGraph):
        check_choice(len(graph.clients), graph.degree, terms.threshold, foes)
        return graph.degree
    raise LocalError(
        "against an active coordinator the graph must be complete or of the clients' choice"
    )


def _ids(numbers: Iterable[int]) -> bytes:
    return b"".join(number.to_bytes(4) for number in numbers)
