import ast
from pathlib import Path

import pytest

import strategies
from learning.structure import Structure
from strategies import STRATEGIES, UnknownStrategy, lookup
from strategies.rates import FitCurve
from strategies.settings import StrategySettings

ROOM = Path(strategies.__file__).parent


def test_the_names_of_the_contract_are_built() -> None:
    assert list(STRATEGIES) == [
        *("none", "exclude", "deadline", "random-dropout", "ordered-dropout", "clip"),
        *("clip-network", "fluid", "fedsparsify-global", "fedsparsify-local"),
        *("one-shot", "random-gradual", "snip"),
    ]


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_strategy_describes_itself_in_a_line_and_makes_its_halves(
    name: str, structure: Structure, curve: FitCurve
) -> None:
    strategy = lookup(name)
    assert strategy.name == name
    assert 20 < len(strategy.describe) < 100
    assert "\n" not in strategy.describe
    assert strategy.needs_plain == (name == "fluid")
    settings = StrategySettings(sparsity_rounds=20)
    assert strategy.server(settings, structure).participants(1, [3, 1, 2], {}) == [1, 2, 3]
    assert strategy.server(settings, structure).left_out() == {}
    assert strategy.client(settings, 1, structure, curve).note() == b""
    sparsifies = name.startswith("fedsparsify") or name in ("one-shot", "random-gradual", "snip")
    assert (strategy.pruning is not None) == sparsifies
    if strategy.pruning is not None:
        assert strategy.pruning(settings, structure).gradient_round == (name == "snip")


def test_a_combination_does_what_both_do() -> None:
    both = lookup("clip-network+fedsparsify-global")
    clip, sparse = STRATEGIES["clip-network"], STRATEGIES["fedsparsify-global"]
    assert both.name == "clip-network+fedsparsify-global"
    assert (both.client, both.server, both.counts) == (clip.client, clip.server, clip.counts)
    assert both.pruning is sparse.pruning


@pytest.mark.parametrize(
    ("name", "local", "public"),
    [
        ("none", "total", "total"),
        ("exclude", "total", "total"),
        ("random-dropout", "neuron", "neuron"),
        ("ordered-dropout", "neuron", "neuron"),
        ("clip", "pair", "neuron"),
        ("clip-network", "pair", "neuron"),
    ],
)
def test_counts_follow_from_whether_kept_sets_are_nested(
    name: str, local: str, public: str
) -> None:
    counts = STRATEGIES[name].counts
    assert counts(StrategySettings(evidence="local")) == local
    assert counts(StrategySettings(evidence="global")) == public


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("clip+exclude", "a combination is one strategy about stragglers + one that prunes"),
        ("fedsparsify-global+clip", "a combination is one strategy about stragglers + one that"),
        ("fedsparsify-global+one-shot", "a combination is one strategy about stragglers + one"),
        ("exclude+clip+one-shot", "a combination is one strategy about stragglers + one that"),
        ("clip+fedsparsify-local", "fedsparsify-local stands alone: its clients vote on whole"),
        ("fluid+fedsparsify-global", "fluid stands alone: it sends each straggler a part"),
        ("clip+snip", "snip stands alone: its first round measures"),
        ("none+fedsparsify-global", "none stands alone: it adds nothing"),
        ("Clip", "no strategy of that name"),
        ("clip+magic", "no strategy of that name"),
        ("clip+", "no strategy of that name"),
        ("", "no strategy of that name"),
    ],
)
def test_what_cannot_run_is_refused_in_a_line_that_lists_what_can(name: str, fault: str) -> None:
    with pytest.raises(UnknownStrategy) as caught:
        lookup(name)
    message = str(caught.value)
    assert message.startswith(f"strategy: {name}: {fault}")
    assert "; choose from none, exclude, " in message
    assert "clip-network" in message
    assert "\n" not in message


ALLOWED = {"collections.abc", "dataclasses", "hashlib", "math", "struct", "typing", "numpy"}
SEEN = {"protocol.stragglers", "learning.structure", "learning.layout", "learning.invariance"}
SEEN |= {"learning.kernels", "learning.selection", "learning.sparsity", "learning.upload"}


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_no_strategy_can_reach_telemetry_a_clock_or_an_emulator(path: Path) -> None:
    """What is not imported cannot be read: no telemetry, no time, no files, no randomness."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    ours = {name for name in imported if name.startswith("strategies")}
    assert imported - ours <= ALLOWED | SEEN | {"numpy.typing"}
