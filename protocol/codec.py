"""Messages on the wire: one msgpack map each, `kind` and the fields of its dataclass, all of them.

Strict in both directions and with the same rules: what `encode` lets out, `decode` lets in. Sizes
are bounded before anything of that size is allocated. It knows nothing of phases: whether a
well-formed message is due is for the machines that receive it.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import msgpack

from protocol import fields as field
from protocol import messages as m
from protocol.errors import LocalError, ProtocolError
from protocol.fields import MAX_CLIENTS, MAX_ID, Malformed, Reader
from protocol.sizes import (
    CHALLENGE_BYTES,
    DIGEST_BYTES,
    GRAPH_SEED_BYTES,
    INSTRUCTION_BYTES,
    KEY_BYTES,
    MAX_MESSAGE_BYTES,
    NOTE_BYTES,
    SEALED_BYTES,
    SESSION_BYTES,
    SHARE_BYTES,
    SIGNATURE_BYTES,
)

_KEY = field.exactly(KEY_BYTES)
_SIGNATURES = field.by_client(field.exactly(SIGNATURE_BYTES))
_REASON = field.text(1024)
_SUM: Mapping[str, Reader[object]] = {
    "round": field.integer(1, MAX_ID),
    "attempt": field.integer(1, MAX_ID),
}

KINDS: Mapping[str, tuple[type[m.Message], Mapping[str, Reader[object]]]] = MappingProxyType(
    {
        "hello": (
            m.Hello,
            {
                "version": field.integer(0, MAX_ID),
                "token": field.text(256),
                "device": field.text(128),
                "identity": _KEY,
                "member": field.optional(field.client_id),
            },
        ),
        "challenge": (
            m.Challenge,
            {"session": field.exactly(SESSION_BYTES), "nonce": field.exactly(CHALLENGE_BYTES)},
        ),
        "proof": (m.Proof, {"signature": field.exactly(SIGNATURE_BYTES)}),
        "welcome": (
            m.Welcome,
            {
                "client": field.client_id,
                "credential": field.text(256),
                "settings": field.settings,
            },
        ),
        "refused": (m.Refused, {"reason": _REASON}),
        "ready": (m.Ready, {"examples": field.integer(0, 2**53)}),
        "plan": (
            m.Plan,
            {
                **_SUM,
                "clients": field.client_ids,
                "aggregation": field.one_of("plain", "secagg", "secagg+"),
                "threshold": field.integer(0, MAX_CLIENTS),
                "neighbours": field.integer(0, MAX_CLIENTS),
                "graph_seed": field.none_or_exactly(GRAPH_SEED_BYTES),
                "training": field.none_or_exactly(DIGEST_BYTES),
                "pattern_version": field.integer(0, MAX_ID),
                "pattern_digest": field.none_or_exactly(DIGEST_BYTES),
                "surviving": field.integer(0, MAX_ID),
            },
        ),
        "public_keys": (
            m.PublicKeys,
            {
                **_SUM,
                "sealing": _KEY,
                "masking": _KEY,
                "signature": field.none_or_exactly(SIGNATURE_BYTES),
                "chosen": field.client_ids,
            },
        ),
        "roster": (
            m.Roster,
            {
                **_SUM,
                "keys": field.by_client(field.key_pair),
                "signatures": _SIGNATURES,
                "chosen": field.by_client(field.client_ids),
            },
        ),
        "sealed_shares": (
            m.SealedShares,
            {**_SUM, "sealed": field.by_client(field.exactly(SEALED_BYTES))},
        ),
        "delivery": (
            m.Delivery,
            {
                **_SUM,
                "sealed": field.by_client(field.exactly(SEALED_BYTES)),
                "present": field.client_ids,
            },
        ),
        "note": (m.Note, {**_SUM, "note": field.blob(NOTE_BYTES)}),
        "notes": (
            m.Notes,
            {
                **_SUM,
                "notes": field.by_client(field.blob(NOTE_BYTES)),
                "instruction": field.blob(INSTRUCTION_BYTES),
            },
        ),
        "survivors": (m.Survivors, {**_SUM, "clients": field.client_ids}),
        "consistency": (m.Consistency, {**_SUM, "signature": field.exactly(SIGNATURE_BYTES)}),
        "attestations": (m.Attestations, {**_SUM, "signatures": _SIGNATURES}),
        "signatures": (m.Signatures, {**_SUM, "signatures": _SIGNATURES}),
        "unmask": (
            m.Unmask,
            {
                **_SUM,
                "masking_key_shares": field.by_client(field.exactly(SHARE_BYTES)),
                "self_seed_shares": field.by_client(field.exactly(SHARE_BYTES)),
            },
        ),
        "round_end": (m.RoundEnd, {"round": field.integer(0, MAX_ID)}),
        "failed": (m.Failed, {"round": field.integer(0, MAX_ID), "reason": _REASON}),
        "finish": (m.Finish, {"reason": _REASON}),
    }
)
"""Every message, its name on the wire and the rule of each field. The only such table."""


def _beginning(kind: str) -> bytes:
    """How every message of a kind begins."""
    whole = cast(bytes, msgpack.packb({"kind": kind, **dict.fromkeys(KINDS[kind][1])}))
    return whole[: whole.index(kind.encode()) + len(kind)]


_ALIKE = _beginning("plan"), _beginning("notes")
"""How those messages begin that many clients are sent alike."""
_KIND_OF: Mapping[type, str] = {cls: kind for kind, (cls, _) in KINDS.items()}


class _Last:
    """What was encoded last of what all clients get alike: nothing that is secret."""

    message: m.Plan | m.Notes | None = None
    data = b""


def encode(message: m.Message) -> bytes:
    """The message's bytes. LocalError if a field breaks its rule or the whole is too big."""
    if not isinstance(message, m.Plan | m.Notes):
        return _encode(message)
    if message is not _Last.message:
        _Last.data, _Last.message = _encode(message), message
    return _Last.data


def _encode(message: m.Message) -> bytes:
    kind = _KIND_OF.get(type(message))
    if kind is None:
        raise LocalError(f"{type(message).__name__} is not a message")
    values = {f.name: _ascending(getattr(message, f.name)) for f in fields(message)}
    try:
        checked = _read(kind, values)
        data = cast(bytes, msgpack.packb({"kind": kind, **checked}, use_bin_type=True))
    except (Malformed, UnicodeEncodeError) as error:
        raise LocalError(f"cannot send {_line(error)}") from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise LocalError(f"cannot send {kind}: {len(data)} bytes are over {MAX_MESSAGE_BYTES}")
    return data


def decode(data: bytes) -> m.Message:
    """The message in `data`, or ProtocolError with one line that echoes nothing of it. Nobody may
    change what is in it: a plan or notes may be another reader's as well."""
    return _decode_alike(data) if data.startswith(_ALIKE) else _decode(data)


@lru_cache(maxsize=4)
def _decode_alike(data: bytes) -> m.Message:
    """Where one process plays many clients, each of them is told the same."""
    return _decode(data)


def _decode(data: bytes) -> m.Message:
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"message of {len(data)} bytes is over {MAX_MESSAGE_BYTES}")
    try:
        values = _unpack(data)
        kind = values.pop("kind", None)
        if not isinstance(kind, str) or kind not in KINDS:
            raise Malformed("message: unknown kind")
        return KINDS[kind][0](**_read(kind, values))
    except Malformed as error:
        raise ProtocolError(_line(error)) from None


_SCALARS = frozenset({int, bytes, str, tuple})


def _ascending(value: object) -> object:
    """Maps by client are collected in any order and sent in one."""
    if type(value) in _SCALARS:  # nearly all, and asking for a Mapping takes long
        return value
    if isinstance(value, Mapping) and all(type(key) is int for key in value):
        return {key: value[key] for key in sorted(value)}
    return value


def _unpack(data: bytes) -> dict[str, object]:
    """Plain values from msgpack. Lists, not tuples: CPython leaves a list's declared but unread
    room untouched, so that nested false lengths cost address space only."""
    try:
        values = msgpack.unpackb(
            data,
            raw=False,
            use_list=True,
            strict_map_key=False,  # int keys are legal; _pairs refuses all but int and str
            object_pairs_hook=_pairs,
            max_array_len=MAX_CLIENTS,
            max_map_len=MAX_CLIENTS,
            max_str_len=65_536,
            max_bin_len=65_536,
            max_ext_len=0,
        )
    except Malformed:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError):
        # msgpack's own lines can quote the input, so none of them is passed on.
        raise Malformed("message: not one well-formed msgpack value within bounds") from None
    if not isinstance(values, dict):
        raise Malformed("message: must be a map")
    return values


def _pairs(pairs: list[tuple[object, object]]) -> dict[object, object]:
    """A map whose keys are integers or text, each once (msgpack alone lets the last one win)."""
    if any(type(key) not in (int, str) for key, _ in pairs):
        raise Malformed("message: map keys must be integers or text")
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Malformed("message: a map holds a key twice")
    return result


def _read(kind: str, values: Mapping[str, object]) -> dict[str, Any]:
    rules = KINDS[kind][1]
    if missing := rules.keys() - values.keys():
        raise Malformed(f"{kind}: lacks {', '.join(sorted(missing))}")
    if len(values) > len(rules):
        raise Malformed(f"{kind}: has {len(values) - len(rules)} unknown fields")
    checked: dict[str, Any] = {
        name: read(f"{kind}.{name}", values[name]) for name, read in rules.items()
    }
    if kind == "unmask" and checked["masking_key_shares"].keys() & checked["self_seed_shares"]:
        raise Malformed("unmask: holds both shares of one client")
    return checked


def _line(error: Exception) -> str:
    return str(error) if isinstance(error, Malformed) else "text that is not Unicode"
