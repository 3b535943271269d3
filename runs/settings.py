"""The settings of a run that its analysis needs, read from the config mapping.

Tolerant: an absent key is None. Knows the config's layout and nothing of what was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from runs.values import flag, items, number, table, text, whole


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client runs: its emulated device and network."""

    device: str | None
    network: str | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Within these a run is stable; a run's config states its own in `[fidelity]`. Why these:
    docs/output.md."""

    round_late: float = 0.02
    """Of a round's time: by how much the emulation's lateness may have lengthened it."""
    rate_error_p50: float = 0.005
    rate_error_max: float = 0.02


@dataclass(frozen=True, slots=True)
class RunSettings:
    task: str | None
    strategy: str | None
    aggregation: str | None
    adversary: str | None
    clock: str | None
    net: str | None
    seed: int | None
    rounds: int | None
    warmup_rounds: int
    time_scale: float | None
    modelled_crypto: bool
    modelled_training: bool
    phantom_bodies: bool
    simulated_data: bool
    """Whether what was learnt from is made up."""
    tcp_by_rounds: bool
    sparse_compute: str | None
    """What sparsity bought in compute: the kernels' profile by name and title; None: nothing."""
    replay_of: str | None
    """The folder of the run that this one puts its devices through again."""
    keys: str | None
    """How keys were drawn: `random`, or from the seed, which protects nothing."""
    metric: str
    metric_unit: str | None
    """None: a share, or not known."""
    lower_is_better: bool
    target_metric: float | None
    fleet: str | None
    places: Mapping[int, Place]
    threshold: float | None
    neighbours: int | None
    ring_bits: int | None
    straggler_share: float
    straggler_margin: float
    bounds: Bounds

    def best(self, values: list[float]) -> float | None:
        if not values:
            return None
        return min(values) if self.lower_is_better else max(values)


def read_settings(config: Mapping[str, object]) -> RunSettings:
    """`straggler_share` and `straggler_margin` fall back to the strategies' defaults (0.2, 0.1)."""
    run, fleet = table(config, "run"), table(config, "fleet")
    secure = table(config, "secure_aggregation")
    strategy = {**run, **table(config, "strategy"), **table(config, "strategy_settings")}
    share, margin = number(strategy, "straggler_share"), number(strategy, "straggler_margin")
    return RunSettings(
        task=text(run, "task"),
        strategy=text(run, "strategy"),
        aggregation=text(run, "aggregation"),
        adversary=text(run, "adversary"),
        clock=text(run, "clock"),
        net=text(run, "net"),
        seed=whole(run, "seed"),
        rounds=whole(run, "rounds"),
        warmup_rounds=whole(strategy, "warmup_rounds") or 0,
        time_scale=number(run, "time_scale"),
        modelled_crypto=text(run, "crypto") == "modelled",
        modelled_training=text(run, "training") == "modelled",
        simulated_data=flag(run, "simulated_data") or False,
        phantom_bodies=text(run, "bodies") == "phantom",
        tcp_by_rounds=text(run, "tcp") == "rounds",
        sparse_compute=_named(table(config, "sparse_compute")),
        replay_of=text(table(config, "replay"), "of"),
        keys=text(run, "keys"),
        metric=text(run, "metric") or "metric",
        metric_unit=text(run, "metric_unit"),
        lower_is_better=flag(run, "lower_is_better") or False,
        target_metric=number(run, "target_metric"),
        fleet=text(fleet, "name"),
        places=_places(fleet),
        threshold=number(secure, "threshold"),
        neighbours=whole(secure, "neighbours"),
        ring_bits=whole(secure, "ring_bits"),
        straggler_share=0.2 if share is None else share,
        straggler_margin=0.1 if margin is None else margin,
        bounds=_bounds(table(config, "fidelity")),
    )


def _named(kernels: Mapping[str, object]) -> str | None:
    name, title = text(kernels, "name"), text(kernels, "title")
    return None if name is None else f"{name}: {title}"


def _places(fleet: Mapping[str, object]) -> dict[int, Place]:
    """Members stand in the order of the clients they play; a `count` stands for so many alike."""
    places: dict[int, Place] = {}
    for member in items(fleet, "members"):
        if isinstance(member, Mapping):
            place = Place(text(member, "device"), text(member, "network"))
            first = whole(member, "index")
            first = len(places) if first is None else first
            for index in range(first, first + (whole(member, "count") or 1)):
                places[index] = place
    return places


def _bounds(chosen: Mapping[str, object]) -> Bounds:
    default = Bounds()

    def pick(key: str, otherwise: float) -> float:
        value = number(chosen, key)
        return otherwise if value is None else value

    return Bounds(
        pick("round_late", default.round_late),
        pick("rate_error_p50", default.rate_error_p50),
        pick("rate_error_max", default.rate_error_max),
    )
