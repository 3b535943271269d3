"""Settings made into what a run consists of: fleet, task, strategy, arithmetic; all checked before
a worker starts, so that a bad setting costs one line and no time."""

from dataclasses import asdict, dataclass, fields, replace
from math import ceil, floor

from commands.clocks import check_clock
from commands.errors import BadInput
from commands.identities import Identities
from commands.kept import rounds_kept, said_of
from commands.randomness import source_of
from commands.replayed import Again
from commands.settings import RunSettings
from commands.sparse import check_pruning, kernels_of, pruning_of, said_of_kernels, told_of
from learning.layout import Divisor, VectorLayout, layout_of
from learning.task import Task, TaskError, TaskSettings
from learning.tasks import define, load_task
from learning.training import OPTIMISERS
from learning.upload import UploadLayout, Votes
from profiles import Fleet, Kernels, ProfileError, load_fleet
from protocol.errors import LocalError
from protocol.secagg.chosen_degree import Foes, check_chosen_degree, choose_chosen_degree
from protocol.secagg.regular_graph import check_degree, choose_degree
from protocol.secagg.ring import FixedPoint
from protocol.secagg.sample import most_corrupt
from protocol.secagg.threshold import check_threshold, default_threshold
from protocol.settings import ClientSettings
from protocol.stragglers import most_stragglers
from strategies import UnknownStrategy, lookup
from strategies.draw import Draw
from strategies.interface import Strategy
from strategies.pruning import Pruning
from strategies.settings import SettingsError, StrategySettings


@dataclass(frozen=True, slots=True)
class Study:
    """One run, resolved."""

    settings: RunSettings
    fleet: Fleet
    task: Task
    strategy: Strategy
    strategy_settings: StrategySettings
    layout: VectorLayout
    fixed_point: FixedPoint
    client_settings: ClientSettings
    pruning: Pruning | None = None
    """What prunes weights for everybody."""
    kernels: Kernels | None = None
    """What devices make of zeros; None: nothing."""
    identities: Identities | None = None
    """Of all clients, where the coordinator is not to be believed."""
    resumed: int = 0
    """How often the run was taken up again."""
    again: Again | None = None
    """The run whose devices go through the same again."""

    @property
    def clients(self) -> int:
        return len(self.fleet.members)

    @property
    def draw(self) -> Draw:
        """Who takes part in a round, before the strategy's say."""
        settings, population = self.settings, self.fleet.population
        available = population.availability if population is not None else None
        number = settings.clients_per_round
        if settings.sample is not None:
            number = max(1, round(settings.sample * self.clients))
        return Draw(settings.seed, number, available.value if available is not None else 1.0)

    @property
    def planned(self) -> int:
        """How many clients are expected in a round."""
        there = floor(self.draw.availability * self.clients + 1e-9)
        return there if self.draw.clients is None else min(there, self.draw.clients)

    def remarks(self) -> tuple[str, ...]:
        """What whoever starts the run should know before relying on it; one line each."""
        remarks, when_drawn = [], self.strategy.when_drawn
        if when_drawn and not self.draw.everybody:
            remarks.append(
                f"{self.planned} of {self.clients} clients a round: {self.settings.strategy}: "
                f"{when_drawn}"
            )
        if self.kept_rounds:
            remarks.append(said_of(self.kept_rounds, self.planned, self.task.structure.size))
        return (*remarks, *said_of_kernels(self.kernels, self.task.name))

    @property
    def kept_rounds(self) -> frozenset[int]:
        """Of which single updates are kept."""
        return rounds_kept(self.settings)

    @property
    def words(self) -> int:
        """Length of a client's masked vector as long as nothing is pruned for everybody."""
        votes: Votes = "none" if self.pruning is None else self.pruning.votes
        size, counts = self.task.structure.size, self.layout.length
        return UploadLayout.of(size, counts, votes, self.fixed_point).words

    @property
    def hollow(self) -> bool:
        """Whether nothing of any vector is computed, so that bodies need no content."""
        settings = self.settings
        masked = settings.aggregation != "plain" and settings.crypto == "computed"
        read = self.strategy.needs_plain or self.pruning is not None
        return settings.training == "modelled" and not masked and not read

    @property
    def divisor(self) -> Divisor:
        return "all" if self.settings.mean == "all" else "participation"

    def degree(self, parties: int) -> tuple[int, int]:
        """(threshold, neighbours) among so many parties of one secure sum; neighbours 0: all.

        Raises LocalError if the settings miss a bound among so many."""
        settings = self.settings
        if settings.aggregation == "secagg":
            threshold = settings.threshold or default_threshold(parties)
            if self.active:
                check_threshold(parties, threshold, self.corrupt, True, settings.crowd)
            else:
                check_threshold(parties, threshold, self._corrupt_among(parties))
            return threshold, 0
        if (settings.neighbours is None) != (settings.threshold is None):
            raise LocalError("secagg+: neighbours and threshold: set both, or neither")
        neighbours, threshold = self._few(parties, settings.neighbours, settings.threshold)
        return threshold, neighbours

    def _few(self, parties: int, neighbours: int | None, threshold: int | None) -> tuple[int, int]:
        """(neighbours, threshold) under `secagg+`: these, if they are safe, or the fewest."""
        settings, foes = self.settings, Foes(self.corrupt, self.settings.crowd)
        if neighbours is None or threshold is None:
            if self.active:
                return choose_chosen_degree(parties, foes, settings.lost)
            return self._among_drawn(parties)
        if self.active:
            check_chosen_degree(parties, neighbours, threshold, foes, settings.lost)
        else:
            among = parties if self.draw.everybody else self.clients
            check_degree(among, neighbours, threshold, settings.corrupt, settings.lost)
        return neighbours, threshold

    def _among_drawn(self, parties: int) -> tuple[int, int]:
        """Of clients drawn at random, those a client neighbours are a random draw from the fleet:
        the bounds over the whole fleet hold for them, and those over the drawn ones need not."""
        settings = self.settings
        among = parties if self.draw.everybody else self.clients
        neighbours, threshold = choose_degree(among, settings.corrupt, settings.lost)
        if neighbours >= parties:
            raise LocalError(
                f"secagg+ needs {neighbours} neighbours in a fleet of {among}, more than the"
                f" {parties - 1} others of a round: use the complete graph, secagg"
            )
        return neighbours, threshold

    @property
    def active(self) -> bool:
        """Whether the coordinator is not to be believed."""
        return self.settings.adversary == "active"

    def _corrupt_among(self, parties: int) -> int:
        if self.draw.everybody or parties > self.clients:
            return min(self.corrupt, parties)
        return most_corrupt(self.clients, self.corrupt, parties)

    @property
    def corrupt(self) -> int:
        """How many clients are assumed to be in league with the coordinator."""
        return ceil(self.settings.corrupt * self.clients - 1e-9)


def prepare(
    settings: RunSettings, identities: Identities | None = None, fleet: Fleet | None = None
) -> Study:
    """Raises BadInput naming where, key and rule. `identities`: those given out beforehand; a
    launch that plays all workers itself draws its own. `fleet`: in place
    of the settings' profile."""
    try:
        study = _prepare(settings, fleet or load_fleet(settings.profile))
    except (ProfileError, TaskError, SettingsError, UnknownStrategy, LocalError) as error:
        raise BadInput(str(error)) from error
    if settings.adversary == "active" and settings.aggregation != "plain":
        drawn = identities or Identities.drawn(study.clients, source_of(settings))
        return replace(study, identities=drawn)
    return study


def _prepare(settings: RunSettings, fleet: Fleet) -> Study:
    check_clock(settings)
    strategy = lookup(settings.strategy)
    strategy_settings = strategy_settings_of(settings)
    clients = len(fleet.members)
    task = load_task(task_settings_of(settings, clients))
    if settings.aggregation == "plain" and settings.adversary == "active":
        raise BadInput("adversary: active: plain aggregation has nothing to protect from it")
    if settings.aggregation != "plain" and strategy.needs_plain:
        raise BadInput(f"strategy: {strategy.name}: needs single updates: aggregation=plain")
    if settings.aggregation == "secagg+" and strategy.cuts:
        _check_room_for_cuts(settings)
    weight = max(task.examples(client) for client in range(clients))
    fixed_point = _fixed_point(settings, weight, clients)
    kernels = kernels_of(settings, task.structure)
    told = _client_settings(settings, strategy_settings, task.settings, fixed_point)
    study = Study(
        settings,
        fleet,
        task,
        strategy,
        strategy_settings,
        layout_of(task.structure, strategy.counts(strategy_settings)),
        fixed_point,
        replace(told, sparse_compute=told_of(kernels)),
        pruning_of(strategy, strategy_settings, task.structure),
        kernels,
    )
    _check_draw(study)
    check_pruning(settings, study.pruning)
    rounds_kept(settings)
    if settings.aggregation != "plain":
        study.degree(study.planned)
        if strategy.leaves_out:
            _check_rest(study)
    return study


def _check_rest(study: Study) -> None:
    """However many the strategy leaves out, a secure sum among the rest must be possible: not to
    be found out in the middle of a run."""
    most = most_stragglers(study.clients, study.strategy_settings.straggler_share)
    rest = study.clients - most
    try:
        study.degree(min(rest, study.planned))
    except LocalError as error:
        raise BadInput(
            f"strategy: {study.strategy.name}: may leave out {most} of {study.clients} clients, "
            f"and among {rest} no secure sum is possible: {error}"
        ) from error


def _check_room_for_cuts(settings: RunSettings) -> None:
    if settings.lost < settings.straggler_share:
        raise BadInput(
            f"lost: {settings.lost:g}: {settings.strategy} may leave out straggler_share = "
            f"{settings.straggler_share:g} of the clients, and neighbours are chosen for what may "
            "be lost: set it to at least that"
        )


def _check_draw(study: Study) -> None:
    settings, clients = study.settings, study.clients
    if settings.sample is not None and settings.clients_per_round is not None:
        raise BadInput("sample, clients_per_round: set one of them, or neither")
    if settings.sample is not None and settings.sample > 1:
        raise BadInput(f"sample: must be at most 1, got {settings.sample:g}")
    if settings.clients_per_round is not None and settings.clients_per_round > clients:
        raise BadInput(
            f"clients_per_round: must be at most the fleet's {clients} clients,"
            f" got {settings.clients_per_round}"
        )
    if study.planned < 1:
        raise BadInput(f"profile: {study.fleet.name}: of so few clients nobody may be there")


def task_settings_of(settings: RunSettings, clients: int) -> TaskSettings:
    """What decides the run's data."""
    return TaskSettings(
        settings.task,
        settings.data,
        clients,
        settings.seed,
        settings.partition or define(settings.task).defaults.partition,
        settings.alpha,
        settings.train_examples,
        settings.test_examples,
        settings.grid or "",
    )


def strategy_settings_of(settings: RunSettings) -> StrategySettings:
    known = {field.name for field in fields(StrategySettings)}
    chosen = {key: value for key, value in asdict(settings).items() if key in known}
    chosen["sparsity_rounds"] = settings.sparsity_rounds or settings.rounds
    return StrategySettings(**chosen)


def _fixed_point(settings: RunSettings, weight: int, clients: int) -> FixedPoint:
    if settings.ring_bits is None:
        return FixedPoint.fitting(settings.clip, weight, clients)
    return FixedPoint(settings.clip, settings.ring_bits, weight, clients)


def _client_settings(
    settings: RunSettings, strategy: StrategySettings, task: TaskSettings, fixed_point: FixedPoint
) -> ClientSettings:
    defaults = define(settings.task).defaults
    optimiser = settings.optimiser or defaults.optimiser
    if optimiser not in OPTIMISERS:
        raise BadInput(f"optimiser: must be one of {', '.join(OPTIMISERS)}, got {optimiser!r}")
    return ClientSettings(
        task=settings.task,
        partition=task.partition,
        alpha=task.alpha,
        train_examples=task.train_examples,
        test_examples=task.test_examples,
        grid=task.grid,
        clients=task.clients,
        seed=task.seed,
        epochs=settings.epochs or defaults.epochs,
        batch_size=settings.batch_size or defaults.batch_size,
        learning_rate=settings.learning_rate or defaults.learning_rate,
        optimiser=optimiser,
        momentum=settings.momentum,
        strategy=settings.strategy,
        strategy_settings=asdict(strategy),
        clip=settings.clip,
        ring_bits=fixed_point.ring_bits,
        rounding=settings.rounding,
        max_weight=fixed_point.max_weight,
        aggregation=settings.aggregation,
        time_scale=settings.time_scale,
        adversary="semi-honest" if settings.aggregation == "plain" else settings.adversary,
        precompute=settings.precompute,
    )
