"""The same comparison locally and over a Ray cluster of two nodes on this machine.

A cluster takes half a minute to come up, so this runs where TESTBED_RAY is set; the runs are
written by a program that plays nothing (real ones: benchmarks/sweep_ray.py).
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.cluster import Ray
from commands.compare import _play
from commands.engines import Engine, Local
from commands.grid import make_grid
from commands.settings import RunSettings
from commands.sweep import Sweep

pytestmark = [
    pytest.mark.skipif("TESTBED_RAY" not in os.environ, reason="TESTBED_RAY is not set"),
    pytest.mark.filterwarnings("default"),  # Ray's own
]
PROGRAM = """
import os, sys, tomllib
from pathlib import Path
from runs.folder import RunFolder
from tests.runs.conftest import FakeRun

settings = tomllib.loads(Path(sys.argv[1]).read_text())
if settings["seed"] == 3:
    sys.exit("error: nobody came")
config = {"run": settings | {"metric": "accuracy"}, "fleet": {"name": "fake-4"}}
folder = RunFolder.create(Path(sys.argv[2]), config)
FakeRun(recorder=folder, slower=1.0 + settings["seed"]).whole()
folder.close("finished")
"""


@pytest.fixture
def two_nodes() -> Iterator[int]:
    """A cluster of two nodes with a core each, joined."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    cluster = Cluster(True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield len(ray.nodes())
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.timeout(300)
def test_a_cluster_gives_what_this_machine_gives(tmp_path: Path, two_nodes: int) -> None:
    assert two_nodes == 2
    (tmp_path / "program.py").write_text(PROGRAM)
    program = sys.executable, str(tmp_path / "program.py")
    engines: dict[str, Engine] = {"local": Local(2, program), "ray": Ray(False, program)}
    tables = {}
    for name, engine in engines.items():
        lists = {"strategy": ["none", "clip"], "aggregation": ["plain"]}
        sweep = Sweep.create(tmp_path / name, make_grid(RunSettings(), lists, 4), None)
        failed = _play(sweep, engine)
        assert sorted(played.cell.name for played in failed) == [
            "clip-plain-seed3",
            "none-plain-seed3",
        ]
        assert {played.fault for played in failed} == {"nobody came"}
        tables[name] = sweep.compare()
    assert tables["ray"] == tables["local"]
    files = [p for p in (tmp_path / "local").glob("*-seed*/*") if p.is_file()]
    assert len(files) >= 6 * 6
    for path in files:
        other = tmp_path / "ray" / path.relative_to(tmp_path / "local")
        assert other.read_bytes() == path.read_bytes(), path
