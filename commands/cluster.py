"""The engine that spreads a comparison's runs over a Ray cluster.

Ray is an extra of its own, imported here only. Each run is played by the same process as locally,
on whichever node has a core free; its files travel back and are put in place here. The nodes need
the testbed under the same path and, for fleets and data given as files, those as well.
"""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from commands.engines import CELL, ROOT, Played, played_elsewhere
from commands.errors import BadInput
from commands.grid import Cell


class Ray:
    """Joins the cluster that RAY_ADDRESS names, or makes one of this machine alone."""

    def __init__(self, alone: bool, program: Sequence[str] = CELL) -> None:
        """`alone`: a run needs a whole node, because it is in wall time."""
        if find_spec("ray") is None:
            wanted = "pip install 'straggler-testbed[ray]'"
            raise BadInput(f"--engine ray: Ray is not installed: {wanted}")
        self._alone = alone
        self._program = program

    def play(self, cells: Sequence[Cell], scratch: Path) -> Iterator[Played]:
        import ray

        joined = ray.is_initialized()
        if not joined:
            ray.init(
                address=os.environ.get("RAY_ADDRESS"),
                include_dashboard=False,
                log_to_driver=False,
                runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
            )
        try:
            yield from self._spread(ray, cells, scratch)
        finally:
            if not joined:
                ray.shutdown()

    def _spread(self, ray: Any, cells: Sequence[Cell], scratch: Path) -> Iterator[Played]:  # noqa: ANN401
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        cores = max(1, int(min(filter(None, nodes), default=1))) if self._alone else 1
        environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
        task = ray.remote(num_cpus=cores, max_retries=2, runtime_env=environment)(played_elsewhere)
        running = {task.remote(cell, self._program): cell for cell in cells}
        while running:
            (reference,), _ = ray.wait(list(running), num_returns=1)
            cell = running.pop(reference)
            try:
                fault, files = ray.get(reference)
            except ray.exceptions.RayError as error:
                yield Played(cell, f"lost with its node: {str(error).splitlines()[0]}")
                continue
            if fault is None:
                (scratch / cell.name).mkdir()
                for name, content in files.items():
                    (scratch / cell.name / name).write_bytes(content)
            yield Played(cell, fault)
