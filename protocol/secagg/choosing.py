"""Against an active coordinator, with few neighbours: SecAgg+ where clients choose them.

The malicious construction of Bell et al. (CCS 2020, §4) with identities pinned from outside, which
take the place of the paper's commitment to all keys: nobody can put keys of its own where clients
have chosen. Each client shares its secrets among k others that it chose at random, masks with them
and with whoever chose it, and goes on only while at least t of its k are there. Each survivor
signs, of each client whose shares it holds, that this client survived; and it reveals nothing
before t of those that *it* chose have signed that it survived itself. So no masking key of a
client that reveals anything can come out, and what becomes known by itself is a sum over a crowd
(`protocol.secagg.chosen_degree` says with what probability). Keys are signed, together with the
choice, as `protocol.secagg.guarded` says, which also calls all that is below.
"""

from collections.abc import Mapping, Set
from dataclasses import replace
from itertools import islice

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Attestations, PublicKeys, Roster, Survivors
from protocol.secagg import cost
from protocol.secagg.chosen_graph import ChosenGraph
from protocol.secagg.graph import Graph
from protocol.secagg.guarded import GuardedClient, GuardedServer
from protocol.secagg.keys import Randomness
from protocol.secagg.pinned import Pinned
from protocol.secagg.server import ServerMachine
from protocol.secagg.terms import Terms
from protocol.work import Tally

_TAG_BYTES = 16
"""Of the random tag by which a client is chosen: two are alike with chance 2^-128."""


def choose(terms: Terms, client: int, randomness: Randomness) -> Terms:
    """The terms as `client` starts from: with a choice of its own, all equally likely."""
    graph = _chosen_graph(terms)
    others = [other for other in graph.clients if other != client]
    drawn = randomness(_TAG_BYTES * len(others))
    if len(drawn) != _TAG_BYTES * len(others):
        raise LocalError("the randomness gave too few bytes to choose neighbours by")
    tags = [drawn[at : at + _TAG_BYTES] for at in range(0, len(drawn), _TAG_BYTES)]
    first = sorted(zip(tags, others, strict=True))[: graph.degree]
    chosen = tuple(sorted(other for _, other in first))
    return replace(terms, graph=ChosenGraph(graph.clients, graph.degree, {client: chosen}))


class ChoosingClient(GuardedClient):
    """A client whose terms hold its own choice (`choose`), which nobody else may change."""

    def sign_cost(self, survivors: Survivors) -> Tally:
        return cost.signatures(made=len(self._attested(survivors)), checked=0)

    def sign(self, survivors: Survivors) -> Attestations:
        """Sign of each survivor on the list whose shares are held here that it survived, if the
        list is one that could be answered. One list only."""
        self._check_list(survivors)
        self._signed = survivors
        self.tally = self.sign_cost(survivors)
        signatures = {
            owner: self._identity.sign(self._survived(owner)) for owner in self._attested(survivors)
        }
        return Attestations(survivors.round, survivors.attempt, signatures)

    def _attested(self, survivors: Survivors) -> tuple[int, ...]:
        return tuple(sorted(self._machine.held & set(survivors.clients)))

    def _chosen(self) -> tuple[int, ...]:
        return self.terms.graph.holders(self.client)

    def _graph_of(self, roster: Roster) -> Graph:
        if roster.chosen.keys() != roster.keys.keys():
            raise ProtocolError("roster: keys and choices are not of the same clients")
        if roster.chosen.get(self.client) != self._chosen():
            raise ProtocolError("roster: lacks this client's own choice as it was made")
        return _with_choices(self.terms, roster.chosen)

    def _witnesses(self, signed: Survivors) -> Set[int]:
        return set(signed.clients) & set(self._chosen())

    def _statement(self, signed: Survivors) -> bytes:
        return self._survived(self.client)

    def _survived(self, owner: int) -> bytes:
        return self._pinned.survived_statement(owner, self._roster[owner])


class ChoosingServer(GuardedServer):
    """Collects the clients' choices, and what each says of those whose shares it holds."""

    def __init__(self, machine: ServerMachine, pinned: Pinned) -> None:
        super().__init__(machine, pinned)
        self._choices: dict[int, tuple[int, ...]] = {}
        self._about: dict[int, dict[int, bytes]] = {}
        """Signatures that a client survived, by signer."""
        self._attesting: set[int] = set()

    def receive_keys(self, client: int, message: PublicKeys) -> None:
        super().receive_keys(client, message)
        self._choices[client] = message.chosen

    def close_keys(self) -> frozenset[int]:
        return self.machine.close_keys(_with_choices(self.machine.terms, self._choices))

    def roster_for(self, client: int) -> Roster:
        roster = super().roster_for(client)
        return replace(roster, chosen={c: self._choices[c] for c in roster.keys})

    def receive_attestations(self, client: int, message: Attestations) -> None:
        self._check_due(client, message, self._attesting)
        held = self.machine.terms.graph.owners(client)
        if message.signatures.keys() != self.machine.survivors & set(held):
            raise ProtocolError(f"client {client} attests to others than it holds shares of")
        for owner, signature in message.signatures.items():
            statement = self._pinned.survived_statement(owner, self._keys[owner])
            self._pinned.verify(client, statement, signature)
        self._attesting.add(client)
        for owner, signature in message.signatures.items():
            self._about.setdefault(owner, {})[client] = signature

    def _chosen(self, client: int, message: PublicKeys) -> tuple[int, ...]:
        _with_choices(self.machine.terms, {client: message.chosen})
        return message.chosen

    def _answering(self) -> frozenset[int]:
        """Each holder that attests does so of all it holds: so whoever's secrets have enough such
        holders has as many signatures."""
        self.machine.check_enough(self._attesting, "the survivors' attestations")
        return frozenset(self._attesting)

    def _shown(self, client: int) -> Mapping[int, bytes]:
        """As many as it takes."""
        return dict(islice(sorted(self._about[client].items()), self.machine.terms.threshold))


def _chosen_graph(terms: Terms) -> ChosenGraph:
    if not isinstance(terms.graph, ChosenGraph):
        raise LocalError("in this sum nobody chooses neighbours")
    return terms.graph


def _with_choices(terms: Terms, choices: Mapping[int, tuple[int, ...]]) -> ChosenGraph:
    """ProtocolError unless all are choices that could be made."""
    graph = _chosen_graph(terms)
    try:
        return ChosenGraph(graph.clients, graph.degree, choices)
    except LocalError as error:
        raise ProtocolError(str(error)) from None
