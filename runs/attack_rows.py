"""Attacks on several runs as one table: what each of them finds, against the models' sparsity.

Runs that differ in their seed only are one column. Made from their attack.json alone; knows no
terminal.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import stdev

from protocol.telemetry import Json
from runs.values import flag, items, number, table, text

SCHEMA = 2
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's 97.5 % quantiles for 1, 2, ... degrees of freedom; beyond them the last is a little
too wide."""
_OF_A_COLUMN = ("sparsity",)
_OF_A_RUN = ("seed", "data", "keep_updates", "record", "training_processes")
"""Settings that make no block of their own."""

Result = Mapping[str, object]


def tabulate(results: Sequence[Result]) -> dict[str, Json]:
    """A block for all settings that are the same but for sparsity and seed, a column in it for each
    sparsity, a row for each target and attack."""
    blocks: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        blocks.setdefault(_settings_key(result), []).append(result)
    varying = _varying(results)
    plain = {text(each, "model_sha256") for each in results if not flag(each, "masked")}
    return {
        "schema": SCHEMA,
        "blocks": [_block(mine, varying, plain) for mine in blocks.values()],
    }


def _settings_key(result: Result) -> tuple[object, ...]:
    settings = table(result, "settings")
    asked = ("examples", "shadows")
    kept = sorted(settings.keys() - {*_OF_A_COLUMN, *_OF_A_RUN})
    return (*((k, repr(settings[k])) for k in kept), *(result.get(each) for each in asked))


def _varying(results: Sequence[Result]) -> list[str]:
    settings = [table(each, "settings") for each in results]
    keys = sorted({key for each in settings for key in each})
    told = {"strategy", "aggregation", "task", *_OF_A_COLUMN, *_OF_A_RUN}
    return [k for k in keys if k not in told and len({repr(each.get(k)) for each in settings}) > 1]


def _block(
    results: Sequence[Result], varying: Sequence[str], plain: set[str | None]
) -> dict[str, Json]:
    first = table(results[0], "settings")
    columns: dict[float, list[Result]] = {}
    for result in results:
        columns.setdefault(number(result, "sparsity") or 0.0, []).append(result)
    masked = flag(results[0], "masked") or False
    return {
        "task": text(first, "task"),
        "strategy": text(first, "strategy"),
        "aggregation": text(first, "aggregation"),
        "settings": {key: str(first.get(key)) for key in varying},
        "masked": masked,
        "seen_in_plain": masked and all(text(r, "model_sha256") in plain for r in results),
        "remarks": list(dict.fromkeys(str(said) for r in results for said in items(r, "remarks"))),
        "columns": [_column(share, columns[share]) for share in sorted(columns)],
    }


def _column(sparsity: float, results: Sequence[Result]) -> dict[str, Json]:
    rows: dict[tuple[str, str, str], list[Mapping[str, object]]] = {}
    for result in results:
        for target in _tables(result, "targets"):
            for attack, found in table(target, "attacks").items():
                key = _named(target), text(target, "question") or "", attack
                rows.setdefault(key, []).append(table({"found": found}, "found"))
        for less in _tables(result, "update_less_sum"):
            key = f"update less sum{_of_round(less)}", "used", text(less, "attack") or ""
            rows.setdefault(key, []).append({"auc": less})
    return {
        "sparsity": sparsity,
        "runs": [text(each, "run") for each in results],
        "seeds": [table(each, "settings").get("seed") for each in results],  # type: ignore[misc]
        "fit": {kind: _fit(results, kind) for kind in ("members", "others")},
        "rows": [_row(key, found) for key, found in rows.items()],
    }


def _named(target: Mapping[str, object]) -> str:
    return f"{text(target, 'target')}{_of_round(target)}"


def _of_round(target: Mapping[str, object]) -> str:
    return "" if target.get("round") is None else f" of round {target['round']}"


def _row(key: tuple[str, str, str], found: Sequence[Mapping[str, object]]) -> dict[str, Json]:
    target, question, attack = key
    tprs = list(dict.fromkeys(name for each in found for name in table(each, "tpr")))
    return {
        "target": target,
        "question": question,
        "attack": attack,
        "auc": together([table(each, "auc") for each in found]),
        "accuracy": together([table(each, "accuracy") for each in found]),
        "tpr": {n: together([table(table(each, "tpr"), n) for each in found]) for n in tprs},
    }


def _fit(results: Sequence[Result], kind: str) -> dict[str, Json]:
    """Means over the runs."""
    found = [table(table(each, "fit"), kind) for each in results]
    return {key: sum(number(each, key) or 0.0 for each in found) / len(found) for key in found[0]}


def together(estimates: Sequence[Mapping[str, object]]) -> Json:
    """Mean over seeds with a 95 % interval: Student's, of the seeds' values, and never narrower
    than the examples alone leave the mean. Of one seed its own interval. None where any is not
    known."""
    known = [
        (value, low, high)
        for each in estimates
        if (value := number(each, "value")) is not None
        and (low := number(each, "low")) is not None
        and (high := number(each, "high")) is not None
    ]
    if not known or len(known) < len(estimates):
        return None
    if len(known) == 1:
        return dict(zip(("value", "low", "high"), known[0], strict=True))
    values, count = [value for value, _, _ in known], len(known)
    mean = sum(values) / count
    over_seeds = _T95[min(count - 1, len(_T95)) - 1] * stdev(values) / sqrt(count)
    of_examples = sqrt(sum(((high - low) / 2) ** 2 for _, low, high in known)) / count
    half = max(over_seeds, of_examples)
    return {"value": mean, "low": mean - half, "high": mean + half}


def _tables(source: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    return [each for each in items(source, key) if isinstance(each, Mapping)]
