"""One sweep locally and over a Ray cluster of two nodes on this machine: the same files?

    .venv/bin/python benchmarks/sweep_ray.py [--seeds N] [--profile FLEET]

Plays real runs under the virtual clock and compares every file of every run byte by byte.
Needs the extra [ray].
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from commands.cluster import Ray
from commands.compare import _play
from commands.engines import Engine, Local
from commands.grid import Grid, make_grid, read_lists
from commands.settings import resolve
from commands.sweep import Sweep

SETTINGS = ("clock=virtual", "rounds=3", "warmup_rounds=1", "epochs=1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--profile", default="mixed-20")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    lists, single = read_lists({"strategy": "none,exclude"}, arguments.set)
    base = resolve(None, {"profile": arguments.profile}, (*SETTINGS, *single))
    grid = make_grid(base, lists, arguments.seeds)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        played(root / "local", grid, Local(2))
        over_two_nodes(root / "ray", grid)
        files = [p for p in (root / "local").glob("*-seed*/*") if p.is_file()]
        different = [p for p in files if p.read_bytes() != other(p, root).read_bytes()]
        print(f"{len(files)} files of {len(list(grid.cells()))} runs, {len(different)} different")
        for path in different:
            print(f"  {path.relative_to(root / 'local')}")
    sys.exit(1 if different else 0)


def other(path: Path, root: Path) -> Path:
    return root / "ray" / path.relative_to(root / "local")


def over_two_nodes(path: Path, grid: Grid) -> None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        played(path, grid, Ray(alone=False))
    finally:
        ray.shutdown()
        cluster.shutdown()


def played(path: Path, grid: Grid, engine: Engine) -> None:
    begun_s = time.perf_counter()
    failed = _play(Sweep.create(path, grid, None), engine)
    if failed:
        sys.exit(f"{failed[0].cell.name}: {failed[0].fault}")
    print(f"{path.name}: {time.perf_counter() - begun_s:.1f} s")


if __name__ == "__main__":
    main()
