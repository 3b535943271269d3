"""What makes a run outlast its process: a checkpoint after every finished round, and going on from
the last one.

The coordinator's part and the clients' lie apart; between machines clients keep theirs in memory.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

from commands.errors import BadInput
from commands.settings import RunSettings, as_kept
from runs.checkpoint import COORDINATOR, Checkpoint, read_checkpoint
from runs.config import config_text
from runs.errors import RunFolderError
from runs.loading import load_config

if TYPE_CHECKING:
    from commands.memories import Memories
    from commands.model import FederatedModel
    from commands.study import Study
    from coordinator.engine import Beginning, Coordinator
    from learning.pattern import Pattern
    from runs.folder import RunFolder

_SETTINGS = {field.name for field in fields(RunSettings)}
_COUNTS = ("round", "rounds", "attempt", "resumed", "events_bytes", "pattern")
_MAY_DIFFER = {"host": ("system", "cores")}
"""Of a run's config, what a resumed run may find otherwise."""


def settings_kept(path: Path) -> RunSettings:
    """The settings of a run folder. Raises BadInput."""
    try:
        kept = load_config(path).get("run")
    except RunFolderError as error:
        raise BadInput(f"--resume: {error}") from error
    if not isinstance(kept, dict):
        raise BadInput(f"--resume: {path / 'config.toml'}: run: must be the settings of a run")
    said = {key: value for key, value in kept.items() if key in _SETTINGS}
    return as_kept(said, f"--resume: {path / 'config.toml'}")


class Lasting:
    """One run's checkpoints. `memories`: of the clients that this process plays, if it does."""

    def __init__(
        self, path: Path, memories: "Memories | None" = None, resumed: Checkpoint | None = None
    ) -> None:
        self.path = path
        self.memories = memories
        self._from = resumed

    @classmethod
    def resuming(cls, path: Path, memories: "Memories | None" = None) -> "Lasting":
        """Raises BadInput if there is nothing to go on from."""
        try:
            checkpoint = read_checkpoint(path / COORDINATOR)
            _check_whole(checkpoint)
            lasting = cls(path, memories, checkpoint)
            if lasting.beginning.after >= checkpoint.values["rounds"]:
                raise BadInput(f"--resume: {path}: has played all its rounds")
            if memories is not None:
                memories.resume(lasting.beginning.after)
        except RunFolderError as error:
            raise BadInput(f"--resume: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"--resume: {path / COORDINATOR}: must be whole ({error})") from error
        return lasting

    @property
    def times(self) -> int:
        """How often the run has been taken up again, this time included."""
        return 0 if self._from is None else int(self._from.values["resumed"]) + 1

    @property
    def beginning(self) -> "Beginning":
        from coordinator.engine import Beginning

        if self._from is None:
            return Beginning()
        values = self._from.values
        arrivals_s = {int(client): float(s) for client, s in values["arrivals_s"].items()}
        return Beginning(int(values["round"]), int(values["attempt"]) + 1, arrivals_s)

    def open(self, study: "Study", elsewhere: bool) -> "RunFolder":
        """The run's folder, new or cut back to its last finished round. Raises BadInput."""
        from commands.resolved import config
        from runs.folder import RunFolder

        settings = config(study, elsewhere)
        try:
            if self._from is None:
                return RunFolder.create(self.path, settings)
            _check_same(self.path, settings)
            return RunFolder.resume(self.path, self._from)
        except RunFolderError as error:
            raise BadInput(f"--{'resume' if self._from else 'out'}: {error}") from error

    def attach(self, coordinator: "Coordinator", folder: "RunFolder") -> None:
        """Put model and strategy where they were, and begin to keep them: at once, so that no
        attempt is made twice under one number. Raises BadInput if they are of another run."""
        from strategies.state import State, grouped

        model, half = cast("FederatedModel", coordinator.model), coordinator.strategy

        def take(round_: int, arrivals_s: Mapping[int, float], attempt: int = 1) -> None:
            state = half.state()
            values = {
                "round": round_,
                "rounds": coordinator.status.rounds,
                "attempt": attempt,
                "resumed": self.times,
                "arrivals_s": {str(client): s for client, s in arrivals_s.items()},
                "strategy": dict(state.values),
                "pattern": model.pattern.version,
            }
            arrays = {"model": model.vector, **grouped("strategy", state.arrays)}
            if (pattern := model.patterns.current) is not None:
                arrays["pattern"] = pattern.kept
            folder.checkpoint(Checkpoint(values, arrays))
            if self.memories is not None:
                self.memories.settle()

        if self._from is not None:
            kept = State(arrays=self._from.arrays)
            try:
                model.restore(kept.arrays["model"], _pattern_kept(self._from))
                half.restore(State(self._from.values["strategy"], kept.group("strategy")))
            except (KeyError, TypeError, ValueError) as error:
                raise BadInput(
                    f"--resume: {self.path / COORDINATOR}: must be of this run ({error})"
                ) from error
        begins = self.beginning
        take(begins.after, begins.arrivals_s, begins.attempt if self._from else 1)
        coordinator.begin(begins, take)

    def close(self, finished: bool) -> None:
        """What clients kept is of no use after the run, and nobody else's business."""
        if self.memories is not None:
            (self.memories.forget if finished else self.memories.close)()


def _check_whole(checkpoint: Checkpoint) -> None:
    """Raises ValueError; whether it is of this run shows when it is put to use."""
    for key in _COUNTS:
        value = checkpoint.values.get(key)
        if type(value) is not int or value < 0:
            raise ValueError(f"{key}: must be a whole number of at least 0")
    for key in ("arrivals_s", "strategy"):
        if not isinstance(checkpoint.values.get(key), dict):
            raise ValueError(f"{key}: must be a map")


def _pattern_kept(checkpoint: Checkpoint) -> "Pattern | None":
    from learning.pattern import Pattern

    kept = checkpoint.arrays.get("pattern")
    if kept is None:
        return None
    return Pattern(kept.astype("bool"), int(checkpoint.values["pattern"]))


def _check_same(path: Path, settings: Mapping[str, object]) -> None:
    """Raises BadInput naming the first setting in which the run would go on otherwise."""
    before, now = load_config(path), tomllib.loads(config_text(settings))
    for section in sorted(before.keys() | now.keys()):
        old, new = _flat(before.get(section)), _flat(now.get(section))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key) and key not in _MAY_DIFFER.get(section, ()):
                raise BadInput(
                    f"--resume: {path / 'config.toml'}: {section}.{key}: was {old.get(key)!r}, is "
                    f"{new.get(key)!r}: a run goes on only as it began"
                )


def _flat(section: object) -> Mapping[str, object]:
    return section if isinstance(section, dict) else {"": section}
