"""What is known of one client in one round, and of one round. A time not measured is None."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class ClientRow(NamedTuple):
    """A tuple, because a large run makes a hundred thousand."""

    round: int
    client: int
    device: str | None
    network: str | None
    warmup: bool
    survived: bool
    lost_phase: str | None
    straggler_declared: bool | None
    """What the client said of itself."""
    straggler_measured: bool | None
    """The same rule applied to this round's measured full-model times of everybody."""
    keep_ratio: float | None
    keys_s: float | None
    shares_s: float | None
    download_s: float | None
    fit_s: float | None
    mask_s: float | None
    upload_s: float | None
    consistency_s: float | None
    unmask_s: float | None
    network_s: float | None
    """download + upload"""
    full_fit_s: float | None
    """What the fit would have taken with the full model."""
    full_s: float | None
    """full_fit + network: the time by which stragglers are judged."""
    target_s: float | None
    predicted_s: float | None
    busy_s: float
    """Time covered by the client's own phases."""
    idle_s: float | None
    """The rest of the round: waiting for others."""
    late_s: float | None
    """By how much the emulation's own lateness may have lengthened its phases, in all."""
    bytes_up: int
    bytes_down: int
    loss: float | None
    examples: float | None
    reason: str | None

    @property
    def own_s(self) -> float | None:
        """Fit and network as they were, pruned or not."""
        return None if self.fit_s is None or self.network_s is None else self.fit_s + self.network_s


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """What the round's time consisted of, following the client whose upload was last.

    `seconds` sums to the round time: the coordinator's own phases, and within *collect* those of
    that client; `waiting` is the part of *collect* that none of its phases covers.
    """

    client: int | None
    phase: str | None
    """In which of its phases that client exceeds the median of the others most."""
    seconds: Mapping[str, float]
    late_s: Mapping[str, float]
    """By how much at most the emulation's own lateness lengthened each; empty where no client
    says. See `runs.lateness`."""


@dataclass(frozen=True, slots=True)
class RoundRow:
    round: int
    attempt: int | None
    warmup: bool
    start_s: float | None
    round_s: float | None
    elapsed_s: float | None
    """Round times so far, this one included."""
    evaluate_s: float | None
    late_s: float | None
    """By how much at most the emulation's own lateness lengthened the round."""
    stable: bool | None
    """Whether that is little enough for its times to be relied on."""
    clients: int
    survivors: int
    lost: Mapping[int, str]
    stragglers_declared: int
    keep_ratio_min: float | None
    aggregation: str | None
    clipped_fraction: float | None
    metric: float | None
    loss: float | None
    per_client: tuple[float, ...]
    bytes_up: int
    bytes_down: int
    parameters: int | None
    """Of the model; this and what follows only where weights are pruned for everybody."""
    surviving: int | None
    """Of these, under which values travelled, both ways."""
    values_up: int | None
    """What clients kept of their updates, all of them together."""
    sparsity: float | None
    """Of the model at the end of the round."""
    critical: CriticalPath
