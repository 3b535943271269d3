"""The graph of SecAgg+ against an active coordinator (Bell et al., CCS 2020, §4): clients choose.

Each client chooses k others at random and signs its choice together with its keys; nobody else has
a say in it. It shares its secrets among those that it chose and masks with them and with whoever
chose it. A graph is as complete as the choices that are known: a client starts from its own and
learns of those that concern it, the coordinator learns all. Pure structure: no keys, no phases.
"""

from collections.abc import Mapping, Sequence

from protocol.errors import LocalError
from protocol.secagg.graph import ascending


class ChosenGraph:
    """Who chose whom, as far as known; `degree` is how many each chooses."""

    def __init__(
        self, clients: Sequence[int], degree: int, choices: Mapping[int, tuple[int, ...]]
    ) -> None:
        """LocalError unless each choice is of `degree` other participants, ascending."""
        self._clients = ascending(clients)
        self.degree = degree
        if not 2 <= degree < len(self._clients):
            raise LocalError(
                f"neighbours to choose must be at least 2 and below the {len(self._clients)}"
                f" participants, not {degree}"
            )
        self._everyone = frozenset(self._clients)
        self._holders = {c: self._checked(c, chosen) for c, chosen in choices.items()}
        owners: dict[int, list[int]] = {}
        for owner in sorted(choices):
            for holder in choices[owner]:
                owners.setdefault(holder, []).append(owner)
        self._owners = {holder: tuple(found) for holder, found in owners.items()}

    @property
    def clients(self) -> tuple[int, ...]:
        return self._clients

    def neighbours(self, client: int) -> tuple[int, ...]:
        """Whom it chose and who chose it."""
        return tuple(sorted({*self.holders(client), *self.owners(client)}))

    def holders(self, client: int) -> tuple[int, ...]:
        """Whom it chose; nobody while that is not known."""
        return self._holders.get(client, ())

    def owners(self, client: int) -> tuple[int, ...]:
        """Who chose it, of those whose choice is known."""
        return self._owners.get(client, ())

    @property
    def fewest_holders(self) -> int:
        return self.degree

    def _checked(self, client: int, chosen: tuple[int, ...]) -> tuple[int, ...]:
        if client in chosen or not self._everyone.issuperset((client, *chosen)):
            raise LocalError(f"client {client} chose someone who cannot be chosen")
        if len(chosen) != self.degree or list(chosen) != sorted(set(chosen)):
            raise LocalError(
                f"client {client} chose other than {self.degree} neighbours, each once"
            )
        return chosen
