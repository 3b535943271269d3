"""What the coordinator tells a client about the run when it welcomes it.

Checked on arrival like every other message: a client never trains on settings it does not
understand. Where its data lies and what hardware it is are the worker's own business.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from protocol.errors import ProtocolError
from protocol.telemetry import Json

_LABEL = b"straggler-testbed/v1/training\0"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    task: str
    partition: str
    alpha: float
    """Concentration of the Dirichlet partition; unused by the others."""
    train_examples: int
    """How many training examples of the task are used in all; 0: every one."""
    test_examples: int
    grid: str
    """Of volumes: the cells of its sides; empty: the task's own."""
    clients: int
    """Size of the fleet: how many parts the data is split into, the most a sum is over."""
    seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    optimiser: str
    momentum: float
    strategy: str
    strategy_settings: Mapping[str, Json]
    """For `strategies`, which checks them."""
    clip: float
    """Largest |change of a weight| that fixed point can carry; larger ones are clipped, counted."""
    ring_bits: int
    rounding: str
    """To the `nearest` multiple of the step, or `stochastic`."""
    max_weight: int
    """Public bound on a client's number of examples, its weight in the mean."""
    aggregation: str
    """`plain`, `secagg` or `secagg+`: of every plan; a client takes part in no other sum."""
    adversary: str
    """`semi-honest` or `active`: whether the coordinator is to be believed."""
    time_scale: float
    """Seconds of a clock on the wall in one second of the run, alike for all who take part."""
    precompute: bool
    """Whether masks are expanded while the model is downloaded and trained."""
    sparse_compute: Mapping[str, Json] = field(default_factory=dict)
    """What devices' kernels make of zeros, for `learning.kernels`, which checks it; empty:
    nothing."""

    def training_digest(self, model: bytes | memoryview, pattern: bytes = b"") -> bytes:
        """SHA-256 of these settings, the bytes of a round's model, little-endian float32, and the
        digest of its sparsity pattern: of all that a coordinator says about what to train."""
        settings = json.dumps(self.to_mapping(), sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(_LABEL + len(settings).to_bytes(4) + settings)
        digest.update(model)
        digest.update(pattern)
        return digest.digest()

    def to_mapping(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Json]) -> "ClientSettings":
        """Raises ProtocolError naming the key that is missing, unknown or of the wrong type."""
        known = {field.name: field.type for field in fields(cls)}
        for key in [*(set(mapping) - set(known)), *(set(known) - set(mapping))]:
            raise ProtocolError(f"settings: {key}: {'unknown' if key in mapping else 'missing'}")
        for key, kind in known.items():
            _check(key, kind, mapping[key])
        return cls(**mapping)  # type: ignore[arg-type]


def _check(key: str, kind: object, value: Json) -> None:
    if type(value) is not (kind if isinstance(kind, type) else dict):
        raise ProtocolError(f"settings: {key}: expected {getattr(kind, '__name__', kind)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ProtocolError(f"settings: {key}: not a finite number")
    if isinstance(value, int | float) and value < 0:
        raise ProtocolError(f"settings: {key}: negative")
