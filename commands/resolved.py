"""What a run resolved to, as its config.toml says it."""

import os
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from commands.study import Study
from runs.settings import Bounds

PACKAGES = ("torch", "numpy", "aiohttp", "cryptography", "pynacl", "msgpack")


def config(study: Study, elsewhere: bool = False) -> dict[str, object]:
    """Everything needed to repeat the run: goes into its config.toml. `elsewhere`: its workers
    bring themselves."""
    settings, training = study.settings, study.client_settings
    objective = study.task.objective
    run = asdict(settings) | {
        "metric": objective.metric,
        "metric_unit": objective.unit,
        "lower_is_better": objective.lower_is_better,
        "partition": study.task.partition,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "optimiser": training.optimiser,
    }
    if study.task.corpus.simulated:
        run["simulated_data"] = True
    if study.hollow:
        run["bodies"] = "phantom"
    threshold, neighbours = (0, 0)
    if settings.aggregation != "plain":
        run["keys"] = "seeded: insecure" if settings.clock == "virtual" else "random"
        threshold, neighbours = study.degree(study.planned)
    secure = {
        "protocol": settings.aggregation,
        "adversary": settings.adversary,
        "threshold": threshold,
        "neighbours": neighbours or study.planned - 1,
        **({"crowd": settings.crowd} if study.active else {}),
        "ring_bits": study.fixed_point.ring_bits,
        "rounding": settings.rounding,
        "clip": settings.clip,
        "precompute": settings.precompute,
    }
    return {
        "run": run,
        "fleet": study.fleet.to_mapping(),
        "secure_aggregation": secure if settings.aggregation != "plain" else {},
        **({"sparse_compute": study.kernels.to_mapping()} if study.kernels else {}),
        **({"replay": study.again.to_mapping()} if study.again else {}),
        "fidelity": asdict(Bounds()),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "host": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "commit": _commit(),
            "workers": "elsewhere" if elsewhere else "here",
        },
    }


def _commit() -> str | None:
    """The testbed's own commit, if it runs from a checkout."""
    root = Path(__file__).parent.parent
    try:
        asked = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
