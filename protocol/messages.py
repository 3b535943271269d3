"""Every message of the testbed, as frozen values. `protocol.codec` puts them on the wire.

Control messages travel over one WebSocket per worker; model and masked vectors are streamed HTTP
bodies. `round` counts from 1; `attempt` counts secure sums within a round from 1, and every key,
seed and share belongs to one (session, round, attempt). What is secret, or was meant for one client
only, stays out of `repr`, so that no log line and no traceback can carry it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.pattern import PatternName
from protocol.telemetry import Json

VERSION = 4


# --- joining: Hello -> Challenge -> Proof -> Welcome (or Refused) -> Ready


@dataclass(frozen=True, slots=True)
class Hello:
    """worker -> coordinator. The token admits; `identity` (Ed25519 public key, 32 bytes) says who
    it is, so that a worker that lost its connection comes back as the same client."""

    version: int
    token: str = field(repr=False)
    device: str
    identity: bytes
    member: int | None
    """The fleet member this worker plays, if a fleet was planned for it."""


@dataclass(frozen=True, slots=True)
class Challenge:
    session: bytes
    """16 bytes, drawn when the run starts (anew on every resume)."""
    nonce: bytes
    """32 bytes to sign, so that nobody can join with a key that is not theirs."""


@dataclass(frozen=True, slots=True)
class Proof:
    signature: bytes
    """Ed25519 over the label, session, nonce and identity (`protocol.identity`)."""


@dataclass(frozen=True, slots=True)
class Welcome:
    client: int
    credential: str = field(repr=False)
    """Bearer secret for this worker's HTTP requests."""
    settings: Mapping[str, Json]
    """The part of the run's settings that a client needs (`protocol.settings.ClientSettings`)."""


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """worker -> coordinator: data loaded, device calibrated; may be planned."""

    examples: int


# --- one round


@dataclass(frozen=True, slots=True)
class Plan:
    """coordinator -> worker: the round begins, you take part."""

    round: int
    attempt: int
    clients: tuple[int, ...]
    """All participants' ids, ascending: the parties of the aggregation."""
    aggregation: str
    """`plain`, `secagg` or `secagg+`."""
    threshold: int
    """Shares needed to recover a secret; 0 under plain aggregation."""
    neighbours: int = 0
    """Degree of the graph of `secagg+`; 0 otherwise (the graph is complete)."""
    graph_seed: bytes = b""
    """Seed of the graph's permutation under `secagg+`; empty otherwise."""
    training: bytes = b""
    """`ClientSettings.training_digest` of this round, against an active coordinator: what all train
    alike; empty otherwise."""
    pattern_version: int = 0
    """Of the shared sparsity pattern under which values travel this round, both ways; 0: none."""
    pattern_digest: bytes = b""
    surviving: int = 0
    """How many coordinates of the model it leaves."""

    @property
    def pattern(self) -> PatternName:
        return PatternName(self.pattern_version, self.pattern_digest, self.surviving)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """worker -> coordinator, phase *keys*: two X25519 public keys, fresh per attempt."""

    round: int
    attempt: int
    sealing: bytes
    """Key *c* of Bonawitz et al.: encrypts shares and notes between clients."""
    masking: bytes
    """Key *s*: agrees on pairwise masks."""
    signature: bytes = b""
    """By the client's identity, against an active coordinator; empty otherwise."""
    chosen: tuple[int, ...] = ()
    """The neighbours that it chose, under `secagg+` against an active coordinator."""


@dataclass(frozen=True, slots=True)
class Roster:
    """coordinator -> worker: everyone's public keys, by client: (sealing, masking)."""

    round: int
    attempt: int
    keys: Mapping[int, tuple[bytes, bytes]]
    signatures: Mapping[int, bytes] = field(default_factory=dict)
    """Everyone's signature of its keys, against an active coordinator; empty otherwise."""
    chosen: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Whom each chose, under `secagg+` against an active coordinator; empty otherwise."""


@dataclass(frozen=True, slots=True)
class SealedShares:
    """worker -> coordinator, phase *shares*: one ciphertext for each peer; the coordinator only
    forwards. Each holds both Shamir shares and the strategy's note for that peer."""

    round: int
    attempt: int
    sealed: Mapping[int, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """coordinator -> worker: the ciphertexts addressed to it, by sender."""

    round: int
    attempt: int
    sealed: Mapping[int, bytes] = field(repr=False)
    present: tuple[int, ...] = ()
    """Whom the recipient chose, who did not choose it and who shared: under `secagg+` against an
    active coordinator. The senders are present too."""


@dataclass(frozen=True, slots=True)
class Note:
    """worker -> coordinator, plain aggregation only: the strategy's note, in the clear."""

    round: int
    attempt: int
    note: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notes:
    """coordinator -> worker, plain aggregation only: everyone's notes, in the clear."""

    round: int
    attempt: int
    notes: Mapping[int, bytes] = field(repr=False)
    instruction: bytes = b""
    """What this client shall train, where the strategy leaves that to the coordinator."""


@dataclass(frozen=True, slots=True)
class Survivors:
    """coordinator -> worker, phase *unmask*: whose masked vectors arrived whole."""

    round: int
    attempt: int
    clients: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Consistency:
    """worker -> coordinator, against an active coordinator only: the list of survivors, signed."""

    round: int
    attempt: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Attestations:
    """worker -> coordinator, under `secagg+` against an active coordinator only: for each client
    whose shares it holds and whom it was told to have survived, its signature of that."""

    round: int
    attempt: int
    signatures: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Signatures:
    """coordinator -> worker: who signed the same list or, where clients chose, that this worker
    survived. Only then is anything revealed."""

    round: int
    attempt: int
    signatures: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Unmask:
    """worker -> coordinator: the share of the masking key of each client lost after *shares*, the
    share of the self-mask seed of each survivor. Never both for one client."""

    round: int
    attempt: int
    masking_key_shares: Mapping[int, bytes] = field(repr=False)
    self_seed_shares: Mapping[int, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """coordinator -> worker: the new model is applied."""

    round: int


@dataclass(frozen=True, slots=True)
class Failed:
    """worker -> coordinator: this client cannot go on with the round; said rather than hidden."""

    round: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """coordinator -> worker: the run is over."""

    reason: str


Message = (
    Hello
    | Challenge
    | Proof
    | Welcome
    | Refused
    | Ready
    | Plan
    | PublicKeys
    | Roster
    | SealedShares
    | Delivery
    | Note
    | Notes
    | Survivors
    | Consistency
    | Attestations
    | Signatures
    | Unmask
    | RoundEnd
    | Failed
    | Finish
)
