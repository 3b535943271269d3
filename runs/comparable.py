"""Which runs may stand in one table: their settings differ in what is compared, and in no more.

Knows configs as nested tables; nothing of what was measured.
"""

from collections.abc import Collection, Iterable, Mapping

from runs.errors import ComparisonError

Named = tuple[str, Mapping[str, object]]
"""A run's name and its config."""

MAY_DIFFER = frozenset(
    {
        "run.strategy",
        "run.aggregation",
        "run.seed",
        "run.name",
        "run.out",
        "run.resume",
        "run.record",
        "run.keep_updates",
        "strategy.name",
        "strategy.seed",
        "strategy_settings.seed",
    }
)
"""What is compared, and what only names a run."""
DESCRIBES = ("versions", "host", "commit", "created")
"""Where and with what a run was made; `notes` of the comparison says when they differ."""
OF_AGGREGATION = ("secure_aggregation", "run.adversary", "run.keys")
"""Follow from the aggregation: may differ between runs whose aggregation does."""


def check_comparable(runs: Iterable[Named], axes: Collection[str] = ()) -> None:
    """Raises ComparisonError naming the first setting that differs and must not. `axes`: settings
    that are compared on purpose; then all that follows from settings may differ, they must not."""
    (first, config), *others = runs
    wanted = flatten(config)
    may_differ = MAY_DIFFER | {f"run.{axis}" for axis in axes}
    for name, config in others:
        found = flatten(config)
        other_aggregation = found.get("run.aggregation") != wanted.get("run.aggregation")
        for key in sorted(wanted.keys() | found.keys()):
            if key in may_differ or _is_under(key, DESCRIBES):
                continue
            if axes and not key.startswith("run."):
                continue
            if other_aggregation and _is_under(key, OF_AGGREGATION):
                continue
            if wanted.get(key) != found.get(key):
                raise ComparisonError(
                    f"{name} and {first} differ in {key}: "
                    f"{found.get(key)!r} and {wanted.get(key)!r}"
                )


def flatten(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested tables as dotted keys; lists of tables by position."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, list | tuple):
            value = {str(index): entry for index, entry in enumerate(value)}
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        elif value is not None:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_under(key: str, tables: Iterable[str]) -> bool:
    return any(key == table_ or key.startswith(f"{table_}.") for table_ in tables)


def differing_hosts(configs: Iterable[Mapping[str, object]]) -> Iterable[str]:
    """What differs in where and with what the runs were made, a line each."""
    flat = [flatten(config) for config in configs]
    for key in sorted({key for config in flat for key in config if _is_under(key, DESCRIBES)}):
        if len({str(config.get(key)) for config in flat}) > 1:
            yield f"runs differ in {key}"
