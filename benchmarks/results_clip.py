"""The results page of the CLIP study, from finished comparisons.

    python -m benchmarks.results_clip out/clip-femnist out/severity ... --page docs/results-clip.md

Each folder is named like its experiment and was made by `compare --experiment NAME [--quick]`; one
that holds anything else is refused. Plots go beside the page, into results-clip/.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import results_tables as tables
from benchmarks.results_measured import Study
from benchmarks.results_plots import save
from commands.cli import build_parser
from commands.compare import grid_of
from commands.errors import BadInput
from commands.settings import RunSettings

OPENING = Path(__file__).parent / "results_clip.md"
"""What the page says of itself, of the published figures, and of what differs; by hand."""
MARK = "<!-- tables -->"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    arguments = parser.parse_args(words)
    try:
        parts = [_section(folder, arguments.page) for folder in arguments.folders]
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    before, mark, after = OPENING.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise ValueError(f"{OPENING}: must say where the tables go: {MARK}")
    arguments.page.write_text(before + "\n".join(parts) + after, encoding="utf-8")
    return 0


def _section(folder: Path, page: Path) -> str:
    study = Study(folder)
    size = _size(study)
    asked = f"--experiment {study.name}{size} --data DIR --out out/{study.name}"
    finished, all_runs = len(study.sweep.finished()), len(study.sweep.cells)
    lines = [f"## `{study.name}`", "", "```", f"run_testbed.py compare {asked}", "```", ""]
    lines += [tables.conditions(study, finished, all_runs), ""]
    for name, chart in tables.charts(study):
        save(chart, page.parent / page.stem / f"{name}.svg")
        lines += [f"![{chart.title}]({page.stem}/{name}.svg)", ""]
    return "\n".join(lines + tables.of_study(study))


def _size(study: Study) -> str:
    """How the experiment's own file gives these very runs. Raises BadInput if it does not."""
    held = [_judged(cell.settings) for cell in study.sweep.cells]
    for size in (" --quick", ""):
        words = f"compare --experiment {study.name}{size}".split()
        wanted = [_judged(c.settings) for c in grid_of(build_parser().parse_args(words)).cells()]
        if wanted == held:
            return size
    raise BadInput(f"{study.sweep.path}: holds other runs than the experiment {study.name}")


def _judged(settings: RunSettings) -> RunSettings:
    """Where the data lies is the user's business."""
    return replace(settings, data=None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
