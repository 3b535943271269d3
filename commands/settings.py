"""Every setting of a run in one table, from the defaults, an experiment file and the command line.

Later ones win: defaults < experiment < named options < --set. What a run resolved to is written
into its config.toml.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from commands.errors import BadInput
from commands.experiment import find_experiment, read_experiment


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`None` means: the task's own default, or one derived from the fleet."""

    profile: str = "mixed-20"
    task: str = "digits"
    strategy: str = "clip-network"
    rounds: int = 6
    seed: int = 0
    sample: float | None = None
    """Fraction of the clients that is drawn for each round."""
    clients_per_round: int | None = None
    """The same as a number; set one of the two, or neither: everybody takes part."""
    clock: str = "wall"
    net: str = "stream"
    rates_only: bool = False
    """Kernel links without delay, jitter and loss, where the kernel has no netem."""
    crypto: str = "computed"
    training: str = "computed"
    """`modelled`, under the virtual clock only: charged, not computed."""
    tcp: str = "segments"
    """What senders of stream links are modelled in; `rounds` (round trips), under the virtual clock
    only, is for fleets that segments would take too long."""
    time_scale: float = 1.0
    """Emulated seconds are stretched by this, so that a small host can carry a fleet."""
    aggregation: str = "secagg"
    adversary: str = "semi-honest"
    threshold: int | None = None
    neighbours: int | None = None
    """Of a client under `secagg+`; with the threshold, chosen from the two fractions by default."""
    corrupt: float = 0.1
    """Fraction of clients assumed to be in league with the coordinator."""
    crowd: int = 2
    """Honest clients that a sum must be over, at least, which an active coordinator can learn."""
    lost: float = 0.1
    """Fraction of clients assumed to be lost in a round."""
    ring_bits: int | None = 32
    """None, said `auto`: the narrowest ring that is fine enough for clients and weights."""
    rounding: str = "nearest"
    """To the nearest step of fixed point, or `stochastic`: up or down by seeded chance."""
    clip: float = 0.5
    """Largest change of one weight in one round that fixed point carries."""
    precompute: bool = False
    """Whether a client expands its masks, on a core of its own, while it downloads and trains."""
    mean: str = "participation"
    """`participation`: divide each coordinate by who trained it; `all`: by everybody."""
    partition: str | None = None
    """`iid`, `dirichlet`, `shards`, `user`, or `natural`: by user where users are known."""
    alpha: float = 0.5
    train_examples: int = 0
    """How many of the task's training examples are used; 0: all."""
    test_examples: int = 0
    grid: str | None = None
    """Cells of a volume's three sides, such as `91x109x91`."""
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    optimiser: str | None = None
    momentum: float = 0.0
    straggler_share: float = 0.2
    straggler_margin: float = 0.1
    deadline_s: float | None = None
    threshold_step: float = 0.2
    threshold_every: int = 2
    threshold_after: int = 10
    threshold_per_layer: bool = False
    min_keep: float = 0.25
    warmup_rounds: int = 2
    evidence: str = "local"
    renewal_rounds: int = 5
    keep_step: float = 0.01
    """Grid of keep ratios: 1, 1 - step, ... down to min_keep."""
    threshold_growth: float = 1.2
    """Factor by which the threshold of local evidence grows until enough neurons are invariant."""
    sparsity: float = 0.95
    """Share of the weights that is pruned in the end."""
    sparsity_rounds: int | None = None
    """The round that ends with that share; the last one unless told."""
    sparsity_start: int = 1
    sparsity_every: int = 1
    sparsity_exponent: float = 3.0
    sparsity_scope: str = "global"
    """One magnitude threshold over the model, or one for each `layer`'s tensors."""
    prune_biases: bool = True
    vote_mean: str = "zeros"
    one_shot_round: int | None = None
    sparse_compute: str = "dense"
    """What sparsity buys in compute: nothing with `dense` kernels, or what a profile of kernels
    says, shipped or in a file."""
    data: str | None = None
    keep_updates: str = "none"
    """Of which rounds single updates are kept, for `attack`: `none`, the `last`, or numbers with
    commas between; under plain aggregation only."""
    record: bool = False
    """Whether what each device goes through is kept as a straggler trace."""
    placement: str = "tasks"
    """Where workers run: `tasks` of this process, or several local `processes`."""
    processes: int = 4
    coordinator: str = "auto"
    """Whether its own link is `emulated`, shared by all devices, or the `host`'s; `auto`: where
    the fleet has one, one process plays it all, and it is not too large."""
    training_processes: int | None = None
    """Processes that train, shared by the workers of one host process; all cores by default."""
    join_s: float = 120.0
    heartbeat_s: float = 15.0
    exchange_s: float = 60.0
    training_s: float = 1800.0
    stall_s: float = 30.0


NETS = ("stream", "packet", "kernel")
_CHOICES: dict[str, tuple[str, ...]] = {
    "crypto": ("computed", "modelled"),
    "training": ("computed", "modelled"),
    "tcp": ("segments", "rounds"),
    "clock": ("wall", "virtual"),
    "net": NETS,
    "aggregation": ("plain", "secagg", "secagg+"),
    "adversary": ("semi-honest", "active"),
    "mean": ("participation", "all"),
    "rounding": ("nearest", "stochastic"),
    "sparsity_scope": ("global", "layer"),
    "vote_mean": ("zeros", "voters"),
    "placement": ("tasks", "processes"),
    "coordinator": ("auto", "emulated", "host"),
}
_AT_LEAST: dict[str, float] = {
    "rounds": 1,
    "clients_per_round": 1,
    "processes": 1,
    "training_processes": 1,
    "threshold": 1,
    "neighbours": 2,
    "crowd": 2,
    "warmup_rounds": 0,
    "sparsity_rounds": 1,
    "sparsity_start": 0,
    "sparsity_every": 1,
    "one_shot_round": 1,
    "seed": 0,
    "epochs": 1,
    "batch_size": 1,
}
AUTO = {"ring_bits"}
"""Settings that may be left to the run: None."""
_BOOLEANS = {"true": True, "false": False}
_MAY_BE_ZERO = {"straggler_share", "straggler_margin", "momentum", "corrupt", "lost", "sparsity"}
_BELOW = {"momentum": 1.0, "corrupt": 1.0, "lost": 1.0, "learning_rate": 1e38}
"""The last: of 32-bit floats."""
_LARGEST = 2**63 - 1
"""What fits into a message, and into a seed of torch's."""
_FIELDS = {field.name: field.type for field in fields(RunSettings)}


def resolve(
    experiment: str | None,
    options: Mapping[str, Any],
    sets: Iterable[str],
    base: RunSettings | None = None,
    quick: bool = False,
) -> RunSettings:
    """The settings of a run, those of `base` where nothing else is said. `quick`: at the quick size
    that the experiment states, if it states one. Raises BadInput naming where, key and rule."""
    settings = base or RunSettings()
    if experiment is not None:
        file = read_experiment(find_experiment(experiment))
        settings = _changed(settings, file.settings, str(file.path))
        short = _changed(settings, file.quick, f"{file.path}: quick")
        settings = short if quick else settings
    given = {key: value for key, value in options.items() if value is not None}
    settings = _changed(settings, given, "")
    return _changed(settings, dict(_parse(item) for item in sets), "--set")


def settings_in(config: Mapping[str, Any], file: Path) -> RunSettings:
    """The settings of a run, from its config. Raises BadInput naming file, key and rule."""
    run = config.get("run")
    if not isinstance(run, dict):
        raise BadInput(f"{file}: run: must be a table")
    known = {key: run[key] for key in run.keys() & _FIELDS.keys()}
    try:
        return resolve(None, {"ring_bits": "auto"} | known, ())
    except BadInput as error:
        raise BadInput(f"{file}: run: {error}") from None


def as_kept(values: Mapping[str, Any], where: str) -> RunSettings:
    """Those of a run's own config, which leaves out what is None. Raises BadInput."""
    unsaid: dict[str, Any] = {
        k: None for k, kind in _FIELDS.items() if type(None) in get_args(kind)
    }
    return _changed(replace(RunSettings(), **unsaid), values, where)


def checked(where: str, key: str, values: Iterable[object]) -> list[object]:
    """Several values of one setting. Raises BadInput."""
    return [_check(where, key, value) for value in values]


def _changed(settings: RunSettings, values: Mapping[str, Any], where: str) -> RunSettings:
    """`where` is empty for options, which are named by their key."""
    checks: dict[str, Any] = {k: _check(where, k, value) for k, value in values.items()}
    return replace(settings, **checks)


def _parse(item: str) -> tuple[str, Any]:
    key, equals, text = item.partition("=")
    if not equals:
        raise BadInput(f"--set: {item!r}: must be KEY=VALUE")
    key = key.strip().replace("-", "_")
    kinds = _kinds("--set", key)
    if key in AUTO and text == "auto":
        return key, text
    try:
        return key, _value(kinds, text)
    except (KeyError, ValueError) as error:
        raise BadInput(f"--set: {key}: must be {_described(kinds)}, got {text!r}") from error


def _value(kinds: tuple[type, ...], text: str) -> object:
    if str in kinds:
        return text
    if bool in kinds:
        return _BOOLEANS[text.lower()]
    return int(text) if int in kinds else float(text)


def _check(where: str, key: str, value: object) -> object:
    kinds = _kinds(where, key)
    if key in AUTO and value == "auto":
        return None
    if float in kinds and type(value) is int:
        value = float(value)
    if type(value) not in kinds:
        raise BadInput(f"{_at(where, key)}: must be {_described(kinds)}, got {value!r}")
    at = _at(where, key)
    if key in _CHOICES and value not in _CHOICES[key]:
        raise BadInput(f"{at}: must be one of {', '.join(_CHOICES[key])}, got {value!r}")
    may_be_zero = key in _MAY_BE_ZERO
    if isinstance(value, float) and not (
        math.isfinite(value) and (value > 0 or (value == 0 and may_be_zero))
    ):
        raise BadInput(f"{at}: must be a positive finite number, got {value}")
    if isinstance(value, int) and value < _AT_LEAST.get(key, 0):
        raise BadInput(f"{at}: must be at least {_AT_LEAST.get(key, 0):g}, got {value}")
    if isinstance(value, int) and value > _LARGEST:
        raise BadInput(f"{at}: must be at most 2^63 - 1, got {value}")
    if isinstance(value, float) and value >= _BELOW.get(key, math.inf):
        raise BadInput(f"{at}: must be below {_BELOW[key]:g}, got {value:g}")
    return value


def _at(where: str, key: str) -> str:
    return f"{where}: {key}" if where else f"--{key.replace('_', '-')}"


def _kinds(where: str, key: str) -> tuple[type, ...]:
    if key not in _FIELDS:
        known = ", ".join(sorted(_FIELDS))
        raise BadInput(f"{_at(where, key)}: unknown setting; known are {known}")
    kind: Any = _FIELDS[key]
    return tuple(k for k in (get_args(kind) or (kind,)) if k is not type(None))


def _described(kinds: tuple[type, ...]) -> str:
    names = {int: "an integer", float: "a number", str: "text", bool: "true or false"}
    return " or ".join(names[kind] for kind in kinds)
