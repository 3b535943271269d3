"""Each security check, taken out by hand, must be noticed by some test: the suite's own test.

A mutant (`mutants.toml`) is one replacement in one module's source. Its functions lend their code
to the real ones while the rows of the named tests run; the first failure kills it.
"""

import importlib
import importlib.util
import inspect
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

HERE = Path(__file__).parent
MUTANTS: Mapping[str, Mapping[str, str]] = tomllib.loads((HERE / "mutants.toml").read_text())


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_every_mutant_is_killed(mutant: Mapping[str, str]) -> None:
    module = importlib.import_module(mutant["module"])
    source, old = inspect.getsource(module), mutant["old"]
    assert source.count(old) == 1, "the line to take out must be there, once"
    tests = rows(mutant["killers"])
    with lent_code(module, source.replace(old, mutant["new"])):
        assert any(fails(test) for test in tests)


def test_nothing_fails_without_a_mutant() -> None:
    """Or the kills above would mean nothing; one row of each test is enough to see that."""
    names = {mutant["killers"] for mutant in MUTANTS.values()}
    first_rows = {test.func: test for name in names for test in rows(name)}.values()
    assert len(first_rows) > 50
    assert [test.func.__name__ for test in first_rows if fails(test)] == []


def fails(test: Callable[[], object]) -> bool:
    try:
        test()
    except (Exception, pytest.fail.Exception):  # whatever it is, the mutant shows
        return True
    return False


@cache
def rows(where: str) -> list[partial[object]]:
    """`module` or `module:word`: every row of the module's tests (with the word in their names),
    property tests left out."""
    name, _, word = where.partition(":")
    paths = (HERE / f"test_secagg_{name}.py", HERE / f"test_protocol_{name}.py")
    path = next(path for path in paths if path.exists())
    spec = importlib.util.spec_from_file_location(f"mutant_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[partial[object]] = []
    for title, test in vars(module).items():
        if title.startswith("test_") and word in title and not hasattr(test, "hypothesis"):
            marks = [m.args for m in getattr(test, "pytestmark", []) if m.name == "parametrize"]
            for values in product(*(list(table) for _, table, *_ in marks)):
                found.append(partial(test, **arguments(marks, values)))
    return found


def arguments(marks: list[tuple[object, ...]], values: tuple[object, ...]) -> dict[str, object]:
    named: dict[str, object] = {}
    for (names, *_), value in zip(marks, values, strict=True):
        if isinstance(names, str):
            named[names] = value
        elif isinstance(names, tuple) and isinstance(value, tuple):
            named.update(zip(names, value, strict=True))
    return named


@contextmanager
def lent_code(module: ModuleType, source: str) -> Iterator[None]:
    """The module's functions run the code of `source` meanwhile."""
    codes = dict(_codes(compile(source, module.__file__ or "", "exec")))
    before = {f: f.__code__ for f in _functions(module) if f.__qualname__ in codes}
    for function in before:
        function.__code__ = codes[function.__qualname__]
    try:
        yield
    finally:
        for function, code in before.items():
            function.__code__ = code


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from _codes(constant)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """The module's own functions, methods and properties that close over nothing."""
    for item in list(vars(module).values()):
        inner = list(vars(item).values()) if isinstance(item, type) else [item]
        for found in inner:
            plain = getattr(found, "fget", None) or getattr(found, "__func__", found)
            if (
                isinstance(plain, FunctionType)
                and plain.__module__ == module.__name__
                and not plain.__closure__
            ):
                yield plain
