"""What attacks found, for the terminal: areas under the curve against sparsity, or all figures of
one model. Made from the table's JSON alone; at most 100 columns."""

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from runs import words
from runs.values import flag, items, number, table, text

WIDTH = 100
_ABREAST = 5
"""Columns of sparsities side by side."""
_QUESTIONS = {"used": "", "whose": ", whose"}
_FEET = (
    "AUC: chance that an example that was trained on looks more like one than another does; "
    "0.5 is guessing",
    "intervals: 95 %; of one run over examples (DeLong), of several seeds Student's over seeds",
    "whose: is it this client's example, or another's?   less sum: paired over the same examples",
)

Block = Mapping[str, object]


def print_attacks(found: Mapping[str, object], console: Console) -> None:
    console.print(attacks_table(found), width=min(console.width, WIDTH))


def attacks_table(found: Mapping[str, object]) -> RenderableType:
    blocks = [each for each in items(found, "blocks") if isinstance(each, Mapping)]
    parts: list[RenderableType] = []
    for block in blocks:
        parts += [*_block(block), Text("")]
    return Group(*parts, *(Text(foot, style="dim") for foot in _FEET))


def _block(block: Block) -> list[RenderableType]:
    chosen = [f"{key}={value}" for key, value in table(block, "settings").items()]
    names = (text(block, key) for key in ("task", "strategy", "aggregation"))
    columns = [each for each in items(block, "columns") if isinstance(each, Mapping)]
    parts: list[RenderableType] = [Text(words.joined(*names, *chosen), style="bold")]
    if len(columns) == 1:
        parts += [Text(_fitted(columns[0])), _details(columns[0])]
    else:
        starts = range(0, len(columns), _ABREAST)
        parts += [_areas(columns[start : start + _ABREAST]) for start in starts]
    notes = [str(said) for said in items(block, "remarks")]
    if flag(block, "seen_in_plain"):
        notes.append(
            "these models are those of the plain runs, byte for byte: what plain shows of single"
            " updates is what masks take away"
        )
    return [*parts, *(Text(note, style="yellow") for note in notes)]


def _fitted(column: Mapping[str, object]) -> str:
    fit, seeds = table(column, "fit"), len(items(column, "seeds"))
    told = []
    for kind, said in (("members", "trained on"), ("others", "not")):
        figures = table(fit, kind)
        told.append(f"{said}: " + ", ".join(f"{k} {number(figures, k):.3f}" for k in figures))
    share = words.share(number(column, "sparsity"))
    return words.joined(f"{share} pruned", f"{seeds} seeds" if seeds > 1 else None, *told)


def _details(column: Mapping[str, object]) -> Table:
    shown = _empty(("attacked", "by", "AUC", "accuracy", "TPR, 1 % FPR", "at 5 %"))
    last = ""
    for row in _rows(column):
        tpr = table(row, "tpr")
        name = _target(row)
        shown.add_row(
            name if name != last else "",
            text(row, "attack"),
            *(_figure(table(row, key)) for key in ("auc", "accuracy")),
            *(_figure(table(tpr, level)) for level in ("0.01", "0.05")),
        )
        last = name
    return shown


def _areas(columns: Sequence[Mapping[str, object]]) -> Table:
    shares = [words.share(number(column, "sparsity"), 0) for column in columns]
    shown = _empty(("AUC of", "by", *shares))
    found = [{(_target(r), text(r, "attack")): r for r in _rows(column)} for column in columns]
    last = ""
    for key in dict.fromkeys(key for each in found for key in each):
        cells = [_short(table(table({"r": each.get(key)}, "r"), "auc")) for each in found]
        shown.add_row(key[0] if key[0] != last else "", key[1], *cells)
        last = key[0]
    for kind, said in (("members", "trained on"), ("others", "others")):
        fits = [table(table(column, "fit"), kind) for column in columns]
        for name in fits[0]:
            shown.add_row(f"{said}: {name}", "", *(words.figure(number(f, name)) for f in fits))
    return shown


def _empty(names: Sequence[str]) -> Table:
    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for number_, name in enumerate(names):
        shown.add_column(name, justify="left" if number_ < 2 else "right", no_wrap=number_ > 0)
    return shown


def _rows(column: Mapping[str, object]) -> list[Mapping[str, object]]:
    return [each for each in items(column, "rows") if isinstance(each, Mapping)]


def _target(row: Mapping[str, object]) -> str:
    return f"{text(row, 'target')}{_QUESTIONS.get(text(row, 'question') or '', '')}"


def _figure(found: Mapping[str, object]) -> Text:
    value, low, high = (number(found, key) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return Text(words.DASH)
    return Text.assemble(f"{value:.3f}", (f" {_cents(low)}–{_cents(high)}", "dim"))


def _cents(value: float) -> str:
    """Without the zero before the point: four intervals abreast fit into 80 columns."""
    return f"{value:.2f}".replace("0.", ".")


def _short(found: Mapping[str, object]) -> Text:
    value, low, high = (number(found, key) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return Text(words.DASH)
    return Text.assemble(f"{value:.3f}", (f" ±{(high - low) / 2:.3f}", "dim"))
