"""What attacks on one run came to, as its attack.json says it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from commands.attacked import Attacked, Sample, sample
from commands.attacking import (
    LEARNT,
    Measured,
    Say,
    Shadows,
    View,
    attack,
    measured,
    measured_by_client,
    shadows_of,
)
from commands.grid import to_values
from learning.membership.figures import (
    Estimate,
    Scores,
    auc_difference,
    auc_estimate,
    tpr_at,
    widened,
)
from learning.membership.folds import FOLDS, TOGETHER, Split, attack_accuracy
from learning.membership.signals import Subject, losses, scores
from learning.tasks import initial_vector
from protocol.telemetry import Json
from runs.updates import KeptRound
from strategies import lookup

SCHEMA = 2
FALSE_POSITIVES = (0.01, 0.05)
CONTROL, MODEL, SUM, UPDATE = "initial model", "global model", "sum", "update"
USED, WHOSE = "used", "whose"
KNOWN = (
    "thresholds and the white-box attack are learnt on half of the examples, of which the attacker "
    "knows whether they were used, and judged on the other half, and the other way round"
)


@dataclass(frozen=True, slots=True)
class Asked:
    examples: int
    """At most so many members, and as many others."""
    shadows: int


def what_is_asked(run: Attacked, asked: Asked) -> dict[str, Json]:
    """Equal for equal results."""
    updates = sha256()
    for each in run.rounds:
        for vector in (each.model, *each.updates.values()):
            updates.update(vector.tobytes())
    return {
        "schema": SCHEMA,
        **asdict(asked),
        "model_sha256": run.digest,
        "updates_sha256": updates.hexdigest() if run.rounds else None,
    }


def judge(run: Attacked, asked: Asked, say: Say) -> dict[str, Json]:
    """Raises BadInput where there are too few examples."""
    chosen = sample(run, asked.examples, asked.shadows)
    shadows = shadows_of(run, chosen, asked.shadows, say)
    say(f"{run.name}: judging {len(chosen.members)} members and as many others")
    judging = _Judging(run, chosen, shadows)
    settings = run.settings
    control = judging.whole(CONTROL, View(initial_vector(run.task.settings)), Shadows(shadows.how))
    targets: list[Json] = [control, judging.whole(MODEL, View(run.vector), shadows)]
    differences: list[Json] = []
    for each in run.rounds:
        targets += judging.round(each, differences)
    return {
        **what_is_asked(run, asked),
        "run": run.name,
        "settings": _settings(run),
        "sparsity": settings.sparsity if lookup(settings.strategy).pruning else 0.0,
        "masked": run.masked,
        "sizes": _sizes(run, chosen, shadows),
        "fit": {"members": _fit(run, chosen, True), "others": _fit(run, chosen, False)},
        "folds": FOLDS,
        "known": KNOWN,
        "remarks": list(remarks(run, shadows)),
        "targets": targets,
        "update_less_sum": differences,
    }


class _Judging:
    def __init__(self, run: Attacked, chosen: Sample, shadows: Shadows) -> None:
        self._run = run
        self._chosen = chosen
        self._shadows = shadows
        self._seed = run.settings.seed

    def whole(self, name: str, view: View, shadows: Shadows) -> dict[str, Json]:
        """One view for all examples."""
        members, others = self._measured(view, self._chosen)
        found, folds = attack(members, others, shadows, self._seed)
        return self._target(name, USED, view.sparsity, found, folds)

    def _measured(self, view: View, chosen: Sample) -> tuple[Measured, Measured]:
        corpus = self._run.task.corpus
        return (
            measured(self._run, view, corpus.train, chosen.members),
            measured(self._run, view, corpus.test, chosen.others),
        )

    def round(self, kept: KeptRound, differences: list[Json]) -> list[Json]:
        """One client's update and the sum of all, asked about the same examples; then which of two
        clients an example is of."""
        run, here = self._run, np.isin(self._chosen.owners, list(kept.updates))
        members, owners = self._chosen.members[here], self._chosen.owners[here]
        others = self._chosen.others[: len(members)]
        chosen = Sample(members, owners, others, self._chosen.pool)
        shadows = _taken(self._shadows, np.flatnonzero(here), np.arange(len(others)))
        summed = View(kept.model + _mean(run, kept), kept.model)
        views = {c: View(kept.model + update, kept.model) for c, update in kept.updates.items()}
        of_sum, folds = attack(*self._measured(summed, chosen), shadows, self._seed)
        corpus = run.task.corpus
        own = measured_by_client(run, views, corpus.train, (members, owners))
        dealt = np.resize(owners, len(others))
        of_update, _ = attack(
            own, measured_by_client(run, views, corpus.test, (others, dealt)), shadows, self._seed
        )
        for name, found in of_update.items():
            less = auc_difference(found, of_sum[name])
            less = _told(name, less, -1.0)
            differences.append({"round": kept.round, "attack": name, **asdict(less)})
        sparsity = float(np.mean([view.sparsity for view in views.values()]))
        whose, whose_folds = self._whose(own, chosen, views, shadows)
        return [
            self._target(UPDATE, USED, sparsity, of_update, folds, kept.round),
            self._target(SUM, USED, summed.sparsity, of_sum, folds, kept.round),
            self._target(UPDATE, WHOSE, sparsity, whose, whose_folds, kept.round),
        ]

    def _whose(
        self, own: Measured, chosen: Sample, views: Mapping[int, View], shadows: Shadows
    ) -> tuple[dict[str, Scores], Split]:
        """Half of the members by their own client's update, the rest by another's."""
        generator = np.random.default_rng([self._seed, 0x3405E])
        order = generator.permutation(len(chosen.members))
        right, wrong = np.sort(order[::2]), np.sort(order[1::2])
        clients = np.array(sorted(views))
        at = np.searchsorted(clients, chosen.owners[wrong])
        on = generator.integers(1, len(clients), len(wrong))
        asked = (chosen.members[wrong], clients[(at + on) % len(clients)])
        others = measured_by_client(self._run, views, self._run.task.corpus.train, asked)
        of_members = Shadows(
            shadows.how,
            tuple(each[right] for each in shadows.members),
            tuple(each[wrong] for each in shadows.members),
        )
        return attack(own.taken(right), others, of_members, self._seed)

    def _target(
        self,
        name: str,
        question: str,
        sparsity: float,
        found: Mapping[str, Scores],
        folds: Split,
        round_: int | None = None,
    ) -> dict[str, Json]:
        some = next(iter(found.values()))
        return {
            "target": name,
            "question": question,
            "round": round_,
            "sparsity": sparsity,
            "members": len(some.members),
            "others": len(some.others),
            "attacks": {
                attack: {
                    "auc": asdict(_told(attack, auc_estimate(each))),
                    "accuracy": asdict(attack_accuracy(each, folds)),
                    "tpr": {
                        f"{fpr:g}": _json(attack, tpr_at(each, fpr, self._seed))
                        for fpr in FALSE_POSITIVES
                    },
                }
                for attack, each in found.items()
            },
        }


def _settings(run: Attacked) -> dict[str, Json]:
    values = to_values(run.settings) | {"partition": run.task.partition}
    return {key: value for key, value in values.items() if isinstance(value, str | int | float)}


def _told(attack: str, found: Estimate, lowest: float = 0.0) -> Estimate:
    """What was cross-fitted is told with the interval of that."""
    return widened(found, TOGETHER, lowest) if attack == LEARNT else found


def _json(attack: str, estimate: Estimate | None) -> Json:
    return None if estimate is None else asdict(_told(attack, estimate))


def _taken(shadows: Shadows, members: NDArray[np.intp], others: NDArray[np.intp]) -> Shadows:
    return Shadows(
        shadows.how,
        tuple(each[members] for each in shadows.members),
        tuple(each[others] for each in shadows.others),
    )


def _mean(run: Attacked, kept: KeptRound) -> NDArray[np.float32]:
    """The round's sum over the clients' whole weight: what their masked sum gives too."""
    weights = {client: run.task.examples(client) for client in kept.updates}
    total = np.zeros(kept.model.size)
    for client, update in kept.updates.items():
        total += weights[client] * update.astype(np.float64)
    return (total / sum(weights.values())).astype(np.float32)


def _sizes(run: Attacked, chosen: Sample, shadows: Shadows) -> dict[str, Json]:
    how = shadows.how
    return {
        "used": len(run.owners),
        "test": len(run.task.corpus.test),
        "members": len(chosen.members),
        "others": len(chosen.others),
        "shadows": len(shadows.members),
        "shadow_examples": how.examples if shadows.members else None,
        "shadow_clients": how.clients if shadows.members else None,
    }


def _fit(run: Attacked, chosen: Sample, members: bool) -> dict[str, Json]:
    """How well the global model fits those asked about: without a gap there is little to find."""
    corpus = run.task.corpus
    examples, indices = (corpus.train, chosen.members) if members else (corpus.test, chosen.others)
    subject = Subject(run.task.model, run.task.objective, run.vector, examples)
    return {
        "loss": float(losses(subject, indices).mean()),
        run.task.objective.metric: float(scores(subject, indices).mean()),
    }


def remarks(run: Attacked, shadows: Shadows) -> list[str]:
    """What must be known to read the figures; one line each."""
    said = []
    if run.task.corpus.users is not None:
        said.append(
            "examples are by user: those trained on and those tested differ in more than that; the "
            f"{CONTROL} shows what of it needs no training"
        )
    if run.masked:
        said.append(
            f"{run.settings.aggregation}: no single update is visible; what remains is the sum, and"
            " the global model that follows from it"
        )
    elif not run.rounds:
        said.append("plain: single updates were visible, and none was kept: keep_updates=last")
    if shadows.members and shadows.how.examples < len(run.owners):
        said.append(
            f"shadows: {shadows.how.examples} examples each, fewer than the run's {len(run.owners)}"
        )
    return said
