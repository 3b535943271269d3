"""A page of results from finished comparisons: an opening written by hand, a section a folder.

Each folder is named like its experiment and was made by `compare --experiment NAME [--quick]`; one
that holds anything else is refused. Plots go beside the page, into a folder of its name.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.results_measured import Study
from benchmarks.results_plots import save
from commands.cli import build_parser
from commands.compare import grid_of
from commands.errors import BadInput
from commands.settings import RunSettings
from runs.svg import Chart

MARK = "<!-- tables -->"
"""Where the sections go in the opening."""


@dataclass(frozen=True, slots=True)
class Page:
    opening: Path
    """What the page says by hand, in Markdown, with `MARK`."""
    describe: str
    tables: Callable[[Study], list[str]]
    """Of one study, as Markdown lines."""
    charts: Callable[[Study], Iterator[tuple[str, Chart]]]
    """By file name without its ending."""

    def main(self, words: list[str]) -> int:
        parser = argparse.ArgumentParser(description=self.describe)
        parser.add_argument("folders", nargs="+", type=Path)
        parser.add_argument("--page", type=Path, required=True)
        arguments = parser.parse_args(words)
        try:
            parts = [self._section(folder, arguments.page) for folder in arguments.folders]
        except BadInput as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        before, mark, after = self.opening.read_text(encoding="utf-8").partition(MARK)
        if not mark:
            raise ValueError(f"{self.opening}: must say where the tables go: {MARK}")
        arguments.page.write_text(before + "\n".join(parts) + after, encoding="utf-8")
        return 0

    def _section(self, folder: Path, page: Path) -> str:
        study = Study(folder)
        asked = f"--experiment {study.name}{_size(study)}{_data(study)} --out out/{study.name}"
        lines = [f"## `{study.name}`", "", "```", f"run_testbed.py compare {asked}", "```", ""]
        lines += [conditions(study), ""]
        for name, chart in self.charts(study):
            save(chart, page.parent / page.stem / f"{name}.svg")
            lines += [f"![{chart.title}]({page.stem}/{name}.svg)", ""]
        return "\n".join(lines + self.tables(study))


def conditions(study: Study) -> str:
    settings = study.sweep.cells[0].settings
    finished, planned = len(study.sweep.finished()), len(study.sweep.cells)
    clients = {run.summary["clients"] for run in study.runs()}
    made_up = any(run.summary.get("data") == "simulated" for run in study.runs())
    over = f" over {clients.pop()} clients" if len(clients) == 1 else ""
    size = f"{settings.train_examples or 'all'} training examples{over}, "
    size += f"{settings.rounds} rounds, of which {settings.warmup_rounds} of warm-up; "
    seeds = f"{study.grid.seeds} seeds" if study.grid.seeds > 1 else "1 seed (no spread)"
    how = "training and cryptography" if settings.training == "modelled" else "cryptography"
    modelled = f"{how} charged, not computed; " if settings.crypto == "modelled" else ""
    missing = "" if finished == planned else f" **{finished} of {planned} runs are finished.**"
    label = "**SIMULATED DATA.** " if made_up else ""
    told = f"{size}{seeds} in all; {modelled}virtual clock, `{settings.aggregation}`."
    return f"{label}{told}{missing}"


def _data(study: Study) -> str:
    return " --data DIR" if study.sweep.cells[0].settings.data else ""


def _size(study: Study) -> str:
    """How the experiment's own file gives these very runs. Raises BadInput if it does not."""
    held = [_judged(cell.settings) for cell in study.sweep.cells]
    for size in (" --quick", "", f" --quick --seeds {study.grid.seeds}"):
        words = f"compare --experiment {study.name}{size}".split()
        wanted = [_judged(c.settings) for c in grid_of(build_parser().parse_args(words)).cells()]
        if wanted == held:
            return size
    raise BadInput(f"{study.sweep.path}: holds other runs than the experiment {study.name}")


def _judged(settings: RunSettings) -> RunSettings:
    """Where the data lies is the user's business."""
    return replace(settings, data=None)
