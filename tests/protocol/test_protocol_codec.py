"""The codec: every message round-trips, and nothing that is off gets in or out."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import messages as m
from protocol.codec import KINDS, decode, encode
from protocol.errors import LocalError, ProtocolError
from protocol.fields import MAX_CLIENTS, MAX_ID
from protocol.sizes import MAX_MESSAGE_BYTES, NOTE_BYTES, SEALED_BYTES

IDS = st.integers(0, MAX_ID)
SUM = {"round": st.integers(1, MAX_ID), "attempt": st.integers(1, MAX_ID)}
KEY = st.binary(min_size=32, max_size=32)
CLIENTS = st.lists(IDS, unique=True, max_size=8).map(lambda ids: tuple(sorted(ids)))
TEXT = st.text(st.characters(codec="utf-8"), max_size=128)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def by_client(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[int, object]]:
    return st.dictionaries(IDS, values, max_size=6)


def blob(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


@st.composite
def unmasks(draw: st.DrawFn) -> m.Unmask:
    lost, alive = draw(by_client(KEY)), draw(by_client(KEY))
    alive = {client: share for client, share in alive.items() if client not in lost}
    return m.Unmask(draw(SUM["round"]), draw(SUM["attempt"]), lost, alive)  # type: ignore[arg-type]


MESSAGES: dict[type, st.SearchStrategy[m.Message]] = {
    m.Hello: st.builds(
        m.Hello, version=IDS, token=TEXT, device=TEXT, identity=KEY, member=st.none() | IDS
    ),
    m.Challenge: st.builds(m.Challenge, session=blob(16), nonce=KEY),
    m.Proof: st.builds(m.Proof, signature=blob(64)),
    m.Welcome: st.builds(
        m.Welcome,
        client=IDS,
        credential=TEXT,
        settings=st.dictionaries(TEXT, PLAIN, max_size=4),
    ),
    m.Refused: st.builds(m.Refused, reason=TEXT),
    m.Ready: st.builds(m.Ready, examples=st.integers(0, 2**53)),
    m.Plan: st.builds(
        m.Plan,
        **SUM,
        clients=CLIENTS,
        aggregation=st.sampled_from(["plain", "secagg", "secagg+"]),
        threshold=st.integers(0, MAX_CLIENTS),
        neighbours=st.integers(0, MAX_CLIENTS),
        graph_seed=st.just(b"") | KEY,
        training=st.just(b"") | KEY,
        pattern_version=st.integers(0, MAX_ID),
        pattern_digest=st.just(b"") | KEY,
        surviving=st.integers(0, MAX_ID),
    ),
    m.PublicKeys: st.builds(
        m.PublicKeys,
        **SUM,
        sealing=KEY,
        masking=KEY,
        signature=st.just(b"") | blob(64),
        chosen=CLIENTS,
    ),
    m.Roster: st.builds(
        m.Roster,
        **SUM,
        keys=by_client(st.tuples(KEY, KEY)),
        signatures=by_client(blob(64)),
        chosen=by_client(CLIENTS),
    ),
    m.Attestations: st.builds(m.Attestations, **SUM, signatures=by_client(blob(64))),
    m.Consistency: st.builds(m.Consistency, **SUM, signature=blob(64)),
    m.Signatures: st.builds(m.Signatures, **SUM, signatures=by_client(blob(64))),
    m.SealedShares: st.builds(m.SealedShares, **SUM, sealed=by_client(blob(SEALED_BYTES))),
    m.Delivery: st.builds(m.Delivery, **SUM, sealed=by_client(blob(SEALED_BYTES)), present=CLIENTS),
    m.Note: st.builds(m.Note, **SUM, note=st.binary(max_size=NOTE_BYTES)),
    m.Notes: st.builds(m.Notes, **SUM, notes=by_client(st.binary(max_size=NOTE_BYTES))),
    m.Survivors: st.builds(m.Survivors, **SUM, clients=CLIENTS),
    m.Unmask: unmasks(),
    m.RoundEnd: st.builds(m.RoundEnd, round=IDS),
    m.Failed: st.builds(m.Failed, round=IDS, reason=TEXT),
    m.Finish: st.builds(m.Finish, reason=TEXT),
}


def test_the_table_covers_every_message_and_every_field() -> None:
    assert {cls for cls, _ in KINDS.values()} == set(get_args(m.Message)) == set(MESSAGES)
    for cls, rules in KINDS.values():
        assert list(rules) == [field.name for field in fields(cls)]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_round_trip(kind: type) -> None:
    @settings(max_examples=25)
    @given(MESSAGES[kind])
    def returns(message: m.Message) -> None:
        data = encode(message)
        assert decode(data) == message
        assert encode(decode(data)) == data

    returns()


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_noise_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


@settings(max_examples=100)
@given(message=st.one_of(*MESSAGES.values()), data=st.data())
def test_damaged_messages_are_protocol_errors_or_other_messages(
    message: m.Message, data: st.DataObject
) -> None:
    encoded = bytearray(encode(message))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    with suppress(ProtocolError):
        assert decode(bytes(encoded)) != message


KEYS = {
    "kind": "public_keys",
    "round": 1,
    "attempt": 1,
    "sealing": b"s" * 32,
    "masking": b"m" * 32,
    "signature": b"",
    "chosen": [],
}
ROSTER = {"kind": "roster", "round": 1, "attempt": 1, "keys": {}, "signatures": {}, "chosen": {}}
SURVIVORS = {"kind": "survivors", "round": 1, "attempt": 1, "clients": [1, 2]}
UNMASK = {
    "kind": "unmask",
    "round": 1,
    "attempt": 1,
    "masking_key_shares": {},
    "self_seed_shares": {},
}
WELCOME = {"kind": "welcome", "client": 1, "credential": "x", "settings": {}}


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, object] = {
    "no map": [1, 2],
    "no kind": {key: KEYS[key] for key in KEYS if key != "kind"},
    "unknown kind": {**KEYS, "kind": "public_key"},
    "kind of a wrong type": {**KEYS, "kind": 7},
    "missing field": {key: KEYS[key] for key in KEYS if key != "masking"},
    "extra field": {**KEYS, "secret": b"x"},
    "renamed field": {("seal" if key == "sealing" else key): KEYS[key] for key in KEYS},
    "key too short": {**KEYS, "sealing": b"s" * 31},
    "key too long": {**KEYS, "masking": b"m" * 33},
    "signature in part": {**KEYS, "signature": bytes(63)},
    "signature of 65 bytes": {**KEYS, "signature": bytes(65)},
    "key as text": {**KEYS, "masking": "m" * 32},
    "nonce of 31 bytes": {"kind": "challenge", "session": bytes(16), "nonce": bytes(31)},
    "session of 15 bytes": {"kind": "challenge", "session": bytes(15), "nonce": bytes(32)},
    "signature of 63 bytes": {"kind": "proof", "signature": bytes(63)},
    "round zero": {**KEYS, "round": 0},
    "negative round": {**KEYS, "round": -1},
    "huge round": {**KEYS, "round": 2**64 - 1},
    "round as float": {**KEYS, "round": 1.0},
    "round as bool": {**KEYS, "round": True},
    "round as text": {**KEYS, "round": "1"},
    "round missing its value": {**KEYS, "round": None},
    "ids descending": {**SURVIVORS, "clients": [2, 1]},
    "id twice": {**SURVIVORS, "clients": [1, 1]},
    "negative id": {**SURVIVORS, "clients": [-1, 1]},
    "huge id": {**SURVIVORS, "clients": [1, 2**32]},
    "ids as a map": {**SURVIVORS, "clients": {1: 2}},
    "too many ids": {**SURVIVORS, "clients": list(range(MAX_CLIENTS + 1))},
    "map by text": {**UNMASK, "self_seed_shares": {"1": bytes(32)}},
    "map descending": {**UNMASK, "self_seed_shares": {2: bytes(32), 1: bytes(32)}},
    "map as a list": {**UNMASK, "self_seed_shares": []},
    "share of 31 bytes": {**UNMASK, "self_seed_shares": {1: bytes(31)}},
    "both shares of one client": {
        **UNMASK,
        "self_seed_shares": {1: bytes(32)},
        "masking_key_shares": {1: bytes(32)},
    },
    "roster entry of one key": {**ROSTER, "keys": {1: [bytes(32)]}},
    "roster entry as bytes": {**ROSTER, "keys": {1: bytes(64)}},
    "roster signature in part": {**ROSTER, "signatures": {1: bytes(63)}},
    "ciphertext of a wrong length": {
        "kind": "delivery",
        "round": 1,
        "attempt": 1,
        "sealed": {1: b"x"},
    },
    "note too long": {"kind": "note", "round": 1, "attempt": 1, "note": bytes(NOTE_BYTES + 1)},
    "unknown aggregation": {
        "kind": "plan",
        "round": 1,
        "attempt": 1,
        "clients": [1, 2],
        "aggregation": "none",
        "threshold": 2,
        "neighbours": 0,
        "graph_seed": b"",
    },
    "NaN": {**WELCOME, "settings": {"rate": math.nan}},
    "infinity": {**WELCOME, "settings": {"rate": math.inf}},
    "integer over 63 bits": {**WELCOME, "settings": {"seed": 2**63}},
    "bytes in the settings": {**WELCOME, "settings": {"seed": b"x"}},
    "integer key in the settings": {**WELCOME, "settings": {1: 1}},
    "settings nested too deep": {**WELCOME, "settings": {"a": nested(8)}},
    "settings no map": {**WELCOME, "settings": [1]},
    "credential no text": {**WELCOME, "credential": b"x"},
    "token too long": {
        "kind": "hello",
        "version": 1,
        "token": "t" * 257,
        "device": "",
        "identity": bytes(32),
        "member": None,
    },
    "timestamp extension": {**KEYS, "round": msgpack.Timestamp(1)},
    "extension": {**KEYS, "round": msgpack.ExtType(5, b"x")},
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values_are_refused(value: object) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode(msgpack.packb(value))
    assert "\n" not in str(refusal.value)


GOOD = msgpack.packb(SURVIVORS)
RAW: dict[str, bytes] = {
    "nothing": b"",
    "truncated": GOOD[:-1],
    "followed by more": GOOD + b"\x00",
    "a reserved byte": b"\xc1",
    "a list that claims 2^32 - 1 elements": b"\xdd\xff\xff\xff\xff",
    "a map that claims 2^32 - 1 pairs": b"\xdf\xff\xff\xff\xff",
    "bytes that claim 2^32 - 1": b"\xc6\xff\xff\xff\xff",
    "text that claims 2^32 - 1": b"\xdb\xff\xff\xff\xff",
    "lists nested 100,000 deep": b"\x91" * 100_000,
    "nested lists with false lengths": b"\xdc\x40\x00" * 60_000,
    "nested maps": b"\x81\x01" * 60_000,
    "invalid UTF-8": b"\x81\xa4kind\xa1\xff",
    "a map as a key": b"\x81\x80\x01",
    "a list as a key": b"\x81\x90\x01",
    "bytes as a key": b"\x81\xc4\x01a\x01",
    "nil as a key": b"\x81\xc0\x01",
    "a key twice": b"\x82\xa4kind\xa9round_end\xa4kind\xa9round_end",
    "a field twice": b"\x83\xa4kind\xa9round_end\xa5round\x01\xa5round\x02",
    "over the limit": bytes(MAX_MESSAGE_BYTES + 1),
}


@pytest.mark.parametrize("data", RAW.values(), ids=RAW.keys())
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode(data)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 120


def test_a_refusal_never_echoes_what_was_sent() -> None:
    secret = "correct-horse-battery"
    hello = {
        "kind": "hello",
        "version": 1,
        "token": secret * 20,
        "device": "",
        "identity": b"",
        "member": 1,
    }
    for value in (hello, {"kind": secret}, {**KEYS, secret: 1}, {**KEYS, "round": secret}):
        with pytest.raises(ProtocolError) as refusal:
            decode(msgpack.packb(value))
        assert secret not in str(refusal.value)
        assert refusal.value.__cause__ is None


UNSENDABLE: dict[str, Callable[[], object]] = {
    "no message": lambda: "hello",
    "wrong length": lambda: m.Proof(bytes(63)),
    "wrong type": lambda: m.RoundEnd("1"),  # type: ignore[arg-type]
    "ids descending": lambda: m.Survivors(1, 1, (2, 1)),
    "lone surrogate": lambda: m.Refused("\ud800"),
    "too many ids": lambda: m.Survivors(1, 1, tuple(range(MAX_CLIENTS + 1))),
    "too many clients": lambda: m.Notes(1, 1, dict.fromkeys(range(MAX_CLIENTS + 1), b"")),
    "too big": lambda: m.Welcome(1, "", {"a": ["x" * 60_000] * 80}),
}


@pytest.mark.parametrize("make", UNSENDABLE.values(), ids=UNSENDABLE.keys())
def test_our_own_mistakes_are_local_errors(make: Callable[[], m.Message]) -> None:
    with pytest.raises(LocalError):
        encode(make())


def test_maps_are_sent_in_one_order() -> None:
    """Collected in any order, encoded in one."""
    up, down = m.Notes(1, 1, {1: b"a", 2: b"b"}), m.Notes(1, 1, {2: b"b", 1: b"a"})
    assert encode(up) == encode(down)


def test_secrets_stay_out_of_repr() -> None:
    share = bytes(range(32))
    for message in (
        m.Hello(1, "the-token", "phone", bytes(32), None),
        m.Welcome(1, "the-token", {}),
        m.Unmask(1, 1, {1: share}, {2: share}),
        m.Delivery(1, 1, {1: share}),
        m.SealedShares(1, 1, {1: share}),
        m.Note(1, 1, b"the-token"),
    ):
        assert "the-token" not in repr(message)
        assert repr(share)[4:20] not in repr(message)
