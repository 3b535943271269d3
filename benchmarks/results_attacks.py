"""What attacks found in a study's runs, as Markdown lines: areas under the curve against sparsity.

Reads the `attack.json` that `run_testbed.py attack` left in the folders of finished runs.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.results_words import markdown
from runs.attack_rows import tabulate
from runs.values import items, number, table, text, whole

FILE = "attack.json"
Figures = Mapping[str, object]


def of_runs(paths: Sequence[Path]) -> list[str]:
    """Nothing where none was judged; says how many were, where not all of them were."""
    judged = [path / FILE for path in paths if (path / FILE).exists()]
    if not judged:
        return []
    results = [json.loads(file.read_text(encoding="utf-8")) for file in judged]
    study = paths[0].parent.name
    lines = [f"Attacked by `run_testbed.py attack out/{study}` ([how](membership.md)):", ""]
    found = tabulate(results)
    if len(judged) < len(paths):
        lines += [f"**{len(judged)} of {len(paths)} runs were attacked.**", ""]
    for block in _tables(found, "blocks"):
        lines += [*_block(block), ""]
    return lines + _against_dense(results)


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


def _against_dense(results: Sequence[Figures]) -> list[str]:
    """What pruning changes, paired by seed; nothing where no dense run was attacked."""
    areas = {(number(r, "sparsity"), _seed(r)): dict(_areas_of(r)) for r in results}
    seeds = sorted(seed for share, seed in areas if share == 0.0)
    shares = sorted({share for share, _ in areas if share})
    if not seeds or not shares:
        return []
    body = []
    for key in dict.fromkeys(key for found in areas.values() for key in found):
        cells = [
            _change(
                [areas[share, s][key] - areas[0.0, s][key] for s in seeds if (share, s) in areas]
            )
            for share in shares
        ]
        body.append([key[0], f"`{key[1]}`", *cells])
    head = ["AUC less that of dense, same seed", "by", *(f"{share:.0%} pruned" for share in shares)]
    return [*markdown(head, body), "", "Mean over seeds (smallest to largest).", ""]


def _seed(result: Figures) -> int:
    return whole(table(result, "settings"), "seed") or 0


def _areas_of(result: Figures) -> Iterator[tuple[tuple[str, str], float]]:
    for target in _tables(result, "targets"):
        for attack, found in table(target, "attacks").items():
            area = number(table(table({"found": found}, "found"), "auc"), "value")
            if area is not None and text(target, "target") != "initial model":
                yield (_key(target)[0], attack), area


def _change(changes: Sequence[float]) -> str:
    if not changes:
        return "–"
    mean = sum(changes) / len(changes)
    return f"{mean:+.3f} ({min(changes):+.3f} to {max(changes):+.3f})"


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
