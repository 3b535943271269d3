"""`exclude`: the coordinator leaves stragglers out, judging by when their uploads arrived.

It uses only what every coordinator sees anyway. Someone left out sends nothing, so every
`renewal_rounds` rounds everybody takes part once and is judged anew.
"""

from collections.abc import Mapping, Sequence

from learning.structure import Structure
from protocol.stragglers import find_stragglers
from strategies.interface import Strategy
from strategies.none import Everybody, full_model
from strategies.settings import StrategySettings
from strategies.state import State, StateError


class Exclusion(Everybody):
    def __init__(self, settings: StrategySettings, structure: Structure) -> None:
        self._settings = settings
        self._judged = False
        self._stragglers: Mapping[int, str] = {}
        self._left_out: Mapping[int, str] = {}

    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        """A client whose upload never arrived cannot be judged, and takes part."""
        if self._everybody(round_):
            self._judged = False
            self._stragglers = {}
        elif not self._judged:
            self._judge({client: arrivals[client] for client in joined if client in arrivals})
        self._left_out = {c: why for c, why in self._stragglers.items() if c in joined}
        return [client for client in sorted(joined) if client not in self._left_out]

    def left_out(self) -> Mapping[int, str]:
        return self._left_out

    def state(self) -> State:
        named = {str(client): why for client, why in self._stragglers.items()}
        return State({"judged": self._judged, "stragglers": named})

    def restore(self, state: State) -> None:
        judged, named = state.values.get("judged"), state.values.get("stragglers")
        if not isinstance(judged, bool) or not isinstance(named, dict):
            raise StateError("exclude: must say who was judged a straggler")
        self._judged = judged
        self._stragglers = {int(client): str(why) for client, why in named.items()}

    def _everybody(self, round_: int) -> bool:
        """Warm-up, then one round in every `renewal_rounds` + 1."""
        since = round_ - self._settings.warmup_rounds
        return since <= 0 or since % (self._settings.renewal_rounds + 1) == 0

    def _judge(self, arrivals: Mapping[int, float]) -> None:
        verdict = find_stragglers(
            arrivals, self._settings.straggler_share, self._settings.straggler_margin
        )
        self._judged = len(arrivals) > 1
        others = f"the others by {verdict.target_s:.3g} s"
        self._stragglers = {
            client: f"arrived after {arrivals[client]:.3g} s, {others}"
            for client in verdict.stragglers
        }


EXCLUDE = Strategy(
    name="exclude",
    describe="the coordinator leaves out whoever arrives late, and re-examines them now and then",
    server=Exclusion,
    client=full_model,
    counts=lambda settings: "total",
    leaves_out=True,
    when_drawn="a client is judged by its last arrival, however long ago; one never drawn is not",
)
