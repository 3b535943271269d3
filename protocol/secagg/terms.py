"""What all parties of one secure sum agree on before it starts. Both machines are built from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.errors import LocalError, ProtocolError
from protocol.messages import Plan
from protocol.secagg.chosen_graph import ChosenGraph
from protocol.secagg.graph import CompleteGraph, Graph
from protocol.secagg.keys import Sum
from protocol.secagg.masks import Keystream
from protocol.secagg.regular_graph import RegularGraph
from protocol.secagg.threshold import check_threshold


@dataclass(frozen=True, slots=True)
class Terms:
    """One secure sum: which, among whom, and how many shares recover a secret."""

    sum: Sum
    graph: Graph
    threshold: int
    keystream: Keystream = Keystream.GCM
    """How this party expands masks; any choice gives the same bytes."""
    training: bytes = b""
    """Digest of what all train, where that has to be agreed on; empty otherwise."""
    _positions: Mapping[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = {client: i for i, client in enumerate(self.graph.clients, start=1)}
        object.__setattr__(self, "_positions", positions)
        check_threshold(self.graph.fewest_holders, self.threshold)

    @classmethod
    def complete(cls, sum_: Sum, clients: tuple[int, ...], threshold: int) -> "Terms":
        return cls(sum_, CompleteGraph(clients), threshold)

    @classmethod
    def of_plan(cls, session: bytes, plan: Plan, active: bool = False) -> "Terms":
        """The terms that a coordinator's plan sets. ProtocolError if they are unsafe.

        `active`: whether the coordinator is one that must not draw the graph."""
        try:
            sum_ = Sum(session, plan.round, plan.attempt)
            graph = _graph(plan, sum_, active)
            return cls(sum_, graph, plan.threshold, training=plan.training)
        except LocalError as error:
            raise ProtocolError(f"plan: {error}") from None

    def position(self, client: int) -> int:
        """The index of `client`'s shares: its place among all participants, from 1."""
        return self._positions[client]


def _graph(plan: Plan, sum_: Sum, active: bool) -> Graph:
    if plan.aggregation == "secagg":
        return CompleteGraph(plan.clients)
    if plan.aggregation == "secagg+" and active:
        if plan.graph_seed:
            raise LocalError("the graph is not the coordinator's to draw")
        return ChosenGraph(plan.clients, plan.neighbours, {})
    if plan.aggregation == "secagg+":
        return RegularGraph.drawn(plan.clients, plan.neighbours, plan.graph_seed, sum_)
    raise LocalError(f"{plan.aggregation} aggregation sets no secure sum")
