"""The dependency rule and the shape of the code, as tests: who may import whom, what has no place
here, how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EVERYTHING = {
    "protocol",
    "learning",
    "profiles",
    "netem",
    "strategies",
    "runs",
    "coordinator",
    "worker",
    "wire",
    "commands",
}
MAY_IMPORT: dict[str, set[str]] = {
    "protocol": set(),
    "learning": {"protocol"},
    "profiles": set(),
    "netem": {"profiles"},
    "strategies": {"protocol", "learning"},
    "runs": {"protocol"},
    "wire": set(),
    "coordinator": {"protocol", "strategies", "wire"},
    "worker": {"protocol", "strategies", "learning", "wire"},
    "commands": EVERYTHING,
    "run_testbed": {"commands"},
    "tests": {*EVERYTHING, "tests", "benchmarks"},
    "benchmarks": {*EVERYTHING, "tests"},
}
"""Who may import which of our rooms, besides itself. Absent here: outside the rule."""
OURS = {*EVERYTHING, "run_testbed", "tests", "benchmarks"}
PRODUCT = {*EVERYTHING, "run_testbed"}
IMPURE = {"asyncio", "aiohttp", "torch", "time", "random", "socket"}
"""What the pure protocol gets from its callers or does without."""
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
MAY_UNPICKLE = {"learning/cifar.py"}
"""Files whose formats are pickles: each by an unpickler that admits a short list of types, and
only after the file's checksum."""
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "import_module"}
FORBIDDEN_NAMES = {"utils.py", "common.py", "base.py", "manager.py", "helpers.py"}
MOST_LINES = 350


def modules_imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, those inside functions and branches included.

    Imports are absolute throughout, so that a relative one is an offence: it comes as ".name".
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def import_offences(room: str, source: str) -> list[str]:
    """What `source`, a file of `room`, imports against the rule: one line each."""
    offences = []
    for line, module in modules_imported(ast.parse(source)):
        top = module.split(".")[0]
        if not top:
            offences.append(f"line {line}: relative import {module}")
        elif top in OURS and top != room and top not in MAY_IMPORT[room]:
            offences.append(f"line {line}: {room} imports {module}")
        elif top == "torch" and room in PRODUCT - {"learning"}:
            offences.append(f"line {line}: {room} imports torch")
        elif room == "protocol" and top in IMPURE:
            offences.append(f"line {line}: protocol imports {module}")
    return offences


def unsafe_offences(source: str) -> list[str]:
    """Where `source` turns foreign bytes or text into code or objects."""
    tree = ast.parse(source)
    found = [
        f"line {line}: imports {module}"
        for line, module in modules_imported(tree)
        if module.split(".")[0] in UNSAFE_MODULES
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func
            # `re.compile` and `module.eval()` are methods of other things: only the builtins count
            called = name.id if isinstance(name, ast.Name) else ""
            if isinstance(name, ast.Attribute) and name.attr == "import_module":
                called = name.attr
            if called in UNSAFE_CALLS:
                found.append(f"line {node.lineno}: calls {called}")
    return found


def files_of(room: str) -> list[Path]:
    single = ROOT / f"{room}.py"
    return [single] if single.exists() else sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = files_of(room)
    assert files, f"no file in {room}"
    offences = {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := import_offences(room, path.read_text(encoding="utf-8")))
    }
    assert offences == {}


OFFENDERS = [
    # room, source that breaks its rule
    ("protocol", "import asyncio"),
    ("protocol", "from time import monotonic"),
    ("protocol", "import torch.nn"),
    ("protocol", "from runs.folder import RunFolder"),
    ("learning", "from strategies import lookup"),
    ("profiles", "from protocol.errors import ProtocolError"),
    ("netem", "from protocol.work import Operation"),
    ("netem", "def f():\n    import learning.tasks"),
    ("strategies", "from torch import Tensor"),
    ("strategies", "from worker.client import Client"),
    ("runs", "from profiles import load_fleet"),
    ("coordinator", "from worker.machine import Machine"),
    ("coordinator", "if True:\n    from netem.link import LinkParameters"),
    ("coordinator", "class A:\n    def f(self):\n        from profiles import load_fleet"),
    ("coordinator", "import learning"),
    ("worker", "import coordinator.engine"),
    ("worker", "from netem.pace import Pace"),
    ("worker", "from profiles import Device"),
    ("worker", "from commands.execution import Invitation"),
    ("commands", "from run_testbed import main"),
    ("commands", "from tests.rounds.conftest import Scene"),
    ("run_testbed", "import protocol"),
    ("worker", "from . import channel"),
    ("worker", "from ..coordinator import engine"),
    ("tests", "import run_testbed"),
]


@pytest.mark.parametrize(("room", "source"), OFFENDERS)
def test_a_forbidden_import_is_found(room: str, source: str) -> None:
    assert len(import_offences(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("learning", "import torch\nfrom protocol.work import Tally"),
        ("coordinator", "from coordinator.round import Round\nfrom strategies import lookup"),
        ("worker", "import asyncio\nfrom learning.task import Task"),
        ("protocol", "import secrets\nfrom protocol.messages import Plan"),
        ("commands", "def run():\n    from netem.link import LinkParameters\n    import worker"),
    ],
)
def test_an_allowed_import_is_no_offence(room: str, source: str) -> None:
    assert import_offences(room, source) == []


@pytest.mark.parametrize("room", sorted(PRODUCT))
def test_nothing_foreign_is_unpickled_or_evaluated(room: str) -> None:
    offences = {
        str(path.relative_to(ROOT)): found
        for path in files_of(room)
        if str(path.relative_to(ROOT)) not in MAY_UNPICKLE
        and (found := unsafe_offences(path.read_text(encoding="utf-8")))
    }
    assert offences == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f(data):\n    from pickle import loads\n    return loads(data)",
        "x = eval('1')",
        "exec('x = 1')",
        "import importlib\nimportlib.import_module(name)",
    ],
)
def test_unsafe_code_is_found(source: str) -> None:
    assert unsafe_offences(source)
    assert unsafe_offences("import re\nre.compile('x')\nmodel.eval()") == []


def test_files_are_short_and_named_for_what_they_hold() -> None:
    files = [path for room in {*PRODUCT, "benchmarks"} for path in files_of(room)]
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}
    assert [name for name in lengths if Path(name).name in FORBIDDEN_NAMES] == []


def test_every_module_says_what_it_is_for() -> None:
    files = [path for room in PRODUCT for path in files_of(room)]
    silent = [
        str(p.relative_to(ROOT)) for p in files if not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []
