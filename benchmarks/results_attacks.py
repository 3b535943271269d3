"""What attacks found in a study's runs, as Markdown lines: areas under the curve against sparsity.

Reads the `attack.json` that `run_testbed.py attack` left in the folders of finished runs.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.results_words import markdown
from runs.attack_rows import tabulate
from runs.values import items, number, table, text

FILE = "attack.json"
Figures = Mapping[str, object]


def of_runs(paths: Sequence[Path]) -> list[str]:
    """Nothing where none was judged; says how many were, where not all of them were."""
    judged = [path / FILE for path in paths if (path / FILE).exists()]
    if not judged:
        return []
    found = tabulate([json.loads(file.read_text(encoding="utf-8")) for file in judged])
    lines = []
    if len(judged) < len(paths):
        lines += [f"**{len(judged)} of {len(paths)} runs were attacked.**", ""]
    for block in _tables(found, "blocks"):
        lines += [*_block(block), ""]
    return lines


def _block(block: Figures) -> list[str]:
    columns = _tables(block, "columns")
    found = [{_key(row): row for row in _tables(column, "rows")} for column in columns]
    head = ["AUC of", "by", *(_head(column) for column in columns)]
    body = [
        [
            target,
            f"`{attack}`" if attack else "",
            *(_area(each.get((target, attack))) for each in found),
        ]
        for target, attack in dict.fromkeys(key for each in found for key in each)
    ]
    for kind, said in (("members", "members"), ("others", "others")):
        fits = [table(table(column, "fit"), kind) for column in columns]
        for name in fits[0]:
            shown = [f"{number(fit, name):.3f}" for fit in fits]
            body.append([f"{name} of the global model on {said}", "", *shown])
    return markdown(head, body)


def _head(column: Figures) -> str:
    seeds = len(items(column, "seeds"))
    return f"{number(column, 'sparsity') or 0.0:.0%} pruned, {seeds} seed{'s' if seeds > 1 else ''}"


def _key(row: Figures) -> tuple[str, str]:
    whose = ", whose" if text(row, "question") == "whose" else ""
    return f"{text(row, 'target')}{whose}", text(row, "attack") or ""


def _area(row: Figures | None) -> str:
    auc = table(row, "auc") if row else {}
    value, low, high = (number(auc, key) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "–"
    sign = "+" if (text(row or {}, "target") or "").startswith("update less") else ""
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _tables(source: Figures, key: str) -> list[Figures]:
    return [each for each in items(source, key) if isinstance(each, Mapping)]
