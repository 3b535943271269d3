"""Each security check, taken out by hand, must be missed by some test: the suite's own test.

A mutant is one replacement in one module's source. Its functions lend their code to the real ones
while the rows of the named test modules run, property tests left out; the first failure kills it.
"""

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from protocol import codec, identity
from protocol.secagg import active, client, keys, masks, pairing, ring, server, shares, threshold

OFF = "if False:"
MUTANTS: Mapping[str, tuple[ModuleType, str, str, str]] = {
    # --- what a client refuses
    "own keys on the roster not compared": (
        client,
        "if own is None or roster.keys.get(self.client) != own.public:",
        "if own is None:",
        "client_refusals:rosters",
    ),
    "a key twice on the roster": (
        client,
        "if len(set(publics)) != len(publics):",
        OFF,
        "client_refusals:rosters",
    ),
    "strangers let in": (
        client,
        "if strangers := [client for client in clients if client not in allowed]:",
        "strangers = [0]\n        if False:",
        "client_refusals:rosters",
    ),
    "attempts mixed up": (
        client,
        "if (message.round, message.attempt) != (self._sum.round, self._sum.attempt):",
        "if message.round != self._sum.round:",
        "client_refusals:rosters",
    ),
    "rounds mixed up": (
        client,
        "if (message.round, message.attempt) != (self._sum.round, self._sum.attempt):",
        "if message.attempt != self._sum.attempt:",
        "client_refusals:rosters",
    ),
    "one survivor too few": (
        client,
        "if holders < self.terms.threshold:",
        "if holders < self.terms.threshold - 1:",
        "client_refusals:lists",
    ),
    "said to be lost itself": (
        client,
        "if self.client not in alive:",
        OFF,
        "client_refusals:lists",
    ),
    "a survivor named twice": (
        client,
        "if len(alive) != len(survivors.clients):",
        OFF,
        "client_refusals:lists",
    ),
    "survivors that never shared": (
        client,
        'self._check_members("survivors", sorted(alive), self._peers | {self.client})',
        'self._check_members("survivors", sorted(alive), {*self._pairings, self.client})',
        "client_refusals:lost_before",
    ),
    "masking keys of survivors revealed": (
        client,
        "{o: self._parcels[o].masking_key_share for o in owners if o not in alive}",
        "{o: self._parcels[o].masking_key_share for o in owners}",
        "client_refusals:never_both",
    ),
    "seeds of the lost revealed": (
        client,
        "{o: self._parcels[o].self_seed_share for o in owners if o in alive}",
        "{o: self._parcels[o].self_seed_share for o in owners}",
        "client_refusals:never_both",
    ),
    "answered a second time": (
        client,
        "self._enter(Phase.UNMASKED, {})",
        "self.tally = {}",
        "client_refusals:never_both",
    ),
    "masked at any offset": (
        client,
        "if self._masks is None or offset != self._masked_words:",
        "if self._masks is None:",
        "client_refusals:begin",
    ),
    "masked twice over": (
        client,
        "self._masked_words += words.size",
        "pass",
        "client_refusals:coordinate",
    ),
    "masked with clients that never shared": (
        client,
        "*(self._pairings[peer].mask for peer in peers)",
        "*(pairing.mask for pairing in self._pairings.values())",
        "sum:floats",
    ),
    "no self-mask": (
        client,
        "masks = [own_mask, *(",
        "masks = [*(",
        "sum:floats",
    ),
    "one seed for everyone": (
        client,
        "seed = draw_element(self._randomness)",
        "seed = bytes(32)",
        "client_refusals:draws",
    ),
    "shares of any size of number": (
        client,
        "element(parcel.self_seed_share)",
        "",
        "client_refusals:outside",
    ),
    # --- keys, shares, masks
    "low order accepted": (
        keys,
        'raise ProtocolError("a public key of low order was refused") from None',
        "return bytes(32)",
        "keys",
    ),
    "keys for any sum": (
        keys,
        "+ sum_.encoded() + _PAIR.pack(*pair)",
        "+ _PAIR.pack(*pair)",
        "keys",
    ),
    "keys for any pair": (keys, "+ _PAIR.pack(*pair) + publics", "+ publics", "keys"),
    "keys for any purpose": (keys, "_LABEL + purpose.encode()", "_LABEL", "keys"),
    "keys without the public keys": (
        keys,
        "_PAIR.pack(*pair) + publics",
        "_PAIR.pack(*pair)",
        "keys",
    ),
    "sealed for any route": (
        keys,
        'b"sealed\\0" + sum_.encoded() + _PAIR.pack(*route)',
        'b"sealed\\0" + sum_.encoded()',
        "keys",
    ),
    "sealed for any sum": (
        keys,
        'b"sealed\\0" + sum_.encoded() + _PAIR.pack(*route)',
        'b"sealed\\0" + _PAIR.pack(*route)',
        "keys",
    ),
    "route in the parcel ignored": (keys, "if (sender, recipient) != route or", "if", "keys"),
    "padding ignored": (keys, " or any(note[length:])", "", "keys"),
    "ciphertexts of any length": (
        keys,
        "if len(sealed) != SEALED_BYTES:",
        "if len(sealed) < 0:",
        "client_refusals:deliveries",
    ),
    "a polynomial of lower degree": (
        shares,
        "range(threshold - 1)",
        "range(threshold - 2)",
        "shares",
    ),
    "shares outside the field": (
        shares,
        "if len(share) != SHARE_BYTES or (value := int.from_bytes(share)) >= PRIME:",
        "value = int.from_bytes(share)\n    if len(share) != SHARE_BYTES:",
        "shares",
    ),
    "coefficients outside the field": (
        shares,
        " and int.from_bytes(drawn) < PRIME:",
        ":",
        "shares",
    ),
    "everyone adds": (
        pairing,
        "return Mask(key, 1 if ids[0] < ids[1] else -1)",
        "return Mask(key, 1)",
        "keys",
    ),
    "every segment alike": (masks, "nonce = segment.to_bytes(12)", "nonce = bytes(12)", "masks"),
    "one stream for all chunks": (
        masks,
        "if cipher is None or offset != self._next or offset % SEGMENT_WORDS == 0:",
        "if True:\n            offset = 0",
        "masks",
    ),
    "thresholds of one": (threshold, "if threshold < 2:", OFF, "threshold"),
    "thresholds that the corrupt reach": (threshold, "if threshold <= corrupt:", OFF, "threshold"),
    "overflow": (ring, "if levels < MIN_LEVELS:", OFF, "ring"),
    "clipping not counted": (ring, "return beyond", "return 0", "ring"),
    "NaN let through": (ring, "if not (np.isfinite(low) and np.isfinite(high)):", OFF, "ring"),
    # --- what the coordinator refuses
    "messages twice": (server, "if client in seen:", OFF, "server_refusals:contents"),
    "messages out of turn": (
        server,
        "if self.phase is not phase:\n            raise ProtocolError",
        "if False:\n            raise ProtocolError",
        "server_refusals:arrival",
    ),
    "messages of other sums": (
        server,
        "if (message.round, message.attempt) != (self._sum.round, self._sum.attempt):",
        OFF,
        "server_refusals:contents",
    ),
    "messages of strangers": (
        server,
        "if client not in members:\n            raise ProtocolError",
        "if False:\n            raise ProtocolError",
        "server_refusals:contents",
    ),
    "keys in use": (
        server,
        "if both[0] == both[1] or self._publics.intersection(both):",
        OFF,
        "server_refusals:contents",
    ),
    "any recipients": (
        server,
        "if message.sealed.keys() != peers:",
        OFF,
        "server_refusals:contents",
    ),
    "any masking key shares": (
        server,
        "if message.masking_key_shares.keys() != owed - self._added:",
        OFF,
        "server_refusals:contents",
    ),
    "any seed shares": (
        server,
        "if message.self_seed_shares.keys() != owed & self._added:",
        OFF,
        "server_refusals:contents",
    ),
    "recovered keys not compared": (
        server,
        "if masking.public != self._keys[lost][1]:",
        OFF,
        "server_refusals:lie",
    ),
    "closed with one too few": (
        server,
        "if fewest < self.terms.threshold:",
        "if fewest < self.terms.threshold - 1:",
        "server_refusals:too_few",
    ),
    # --- against an active coordinator
    "signatures not verified": (
        identity,
        "VerifyKey(identity).verify(statement, signature)",
        "pass",
        "identity",
    ),
    "keys on the roster not verified": (
        active,
        "self._pinned.verify(client, statement, roster.signatures[client])",
        "pass",
        "active:rosters",
    ),
    "lists not verified": (
        active,
        "self._pinned.verify(client, statement, signature)\n        self.tally",
        "pass\n        self.tally",
        "active:signatures_that",
    ),
    "one signature too few": (
        active,
        "if len(message.signatures) < self.terms.threshold:",
        "if len(message.signatures) < self.terms.threshold - 1:",
        "active:signatures_that",
    ),
    "two lists signed": (active, "if self._signed is not None:", OFF, "active:one_list"),
    "signatures of anybody": (
        active,
        "if not message.signatures.keys() <= set(self._signed.clients):",
        OFF,
        "active:signatures_that",
    ),
    "statements without the terms": (
        active,
        "self._place = terms.sum.encoded() + agreed",
        "self._place = terms.sum.encoded()",
        "active:rosters",
    ),
    "statements without the sum": (
        active,
        "self._place = terms.sum.encoded() + agreed",
        "self._place = agreed",
        "active:rosters",
    ),
    "a threshold for the semi-honest": (
        active,
        "corrupt, active=True)",
        "corrupt)",
        "active:beforehand",
    ),
    # --- the wire
    "both shares of one client": (
        codec,
        'if kind == "unmask" and',
        'if kind == "" and',
        "codec:hostile_values",
    ),
    "a key twice in a map": (codec, "if len(result) != len(pairs):", OFF, "codec:hostile_bytes"),
    "unknown fields": (codec, "if len(values) > len(rules):", OFF, "codec:hostile_values"),
}

HERE = Path(__file__).parent


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_every_mutant_is_killed(mutant: tuple[ModuleType, str, str, str]) -> None:
    module, old, new, killers = mutant
    source = inspect.getsource(module)
    assert source.count(old) == 1, "the line to take out must be there, once"
    tests = rows(killers)
    with lent_code(module, source.replace(old, new)):
        assert any(fails(test) for test in tests)


def test_nothing_fails_without_a_mutant() -> None:
    """Or the kills above would mean nothing; one row of each test is enough to see that."""
    names = {killers for *_, killers in MUTANTS.values()}
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
