"""Identity keys given out before a run: who signs, known to all from outside the protocol.

A local launch draws them and hands each worker its own and everybody's public half. Between
machines they are files (command `identities`): one with everybody's public keys, which all get, and
one secret for each worker alone.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from commands.errors import BadInput
from commands.randomness import Source, unpredictable
from protocol.identity import Identity
from protocol.secagg.threshold import SMALLEST_CROWD
from protocol.sizes import KEY_BYTES
from worker.worker import Pins

ROSTER = "roster.json"


@dataclass(frozen=True, slots=True)
class Identities:
    """Everybody's identity, by client; `seeds` only of those that this process plays."""

    public: Mapping[int, bytes]
    seeds: Mapping[int, bytes] = field(repr=False)

    @classmethod
    def drawn(cls, clients: int, source: Source = unpredictable) -> "Identities":
        draw = source("identities")
        seeds = {client: draw(KEY_BYTES) for client in range(clients)}
        return cls({client: Identity(seed).public for client, seed in seeds.items()}, seeds)


def pins_of(
    identities: Identities | None, corrupt: float, crowd: int = SMALLEST_CROWD
) -> Callable[[int], Pins | None]:
    """What each member must know from outside; nothing where the coordinator is believed."""

    def pins(client: int) -> Pins | None:
        if identities is None:
            return None
        return Pins(Identity(identities.seeds[client]), identities.public, corrupt, crowd)

    return pins


def write_identities(identities: Identities, folder: Path) -> None:
    """The roster, and a file readable by its owner alone for each secret."""
    roster = {str(client): key.hex() for client, key in identities.public.items()}
    (folder / ROSTER).write_text(json.dumps(roster, indent=1) + "\n")
    for client, seed in identities.seeds.items():
        path = folder / f"{client}.identity"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(seed.hex())


def read_identities(folder: Path, members: Iterable[int]) -> Identities:
    """The roster of a folder and the secrets of these members. Raises BadInput."""
    roster = _read_json(folder / ROSTER)
    public = {int(client): _key(folder / ROSTER, text) for client, text in roster.items()}
    seeds = {member: _key(path := folder / f"{member}.identity", _text(path)) for member in members}
    for member, seed in seeds.items():
        if public.get(member) != Identity(seed).public:
            raise BadInput(f"{folder / ROSTER}: {member}: is not the key of {member}.identity")
    return Identities(public, seeds)


def _read_json(path: Path) -> dict[str, str]:
    try:
        roster = json.loads(_text(path))
    except ValueError as error:
        raise BadInput(f"{path}: must be JSON: {error}") from error
    if not isinstance(roster, dict) or not all(key.isdecimal() for key in roster):
        raise BadInput(f"{path}: must map clients to public keys")
    return roster


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({type(error).__name__})") from error


def _key(path: Path, text: object) -> bytes:
    try:
        key = bytes.fromhex(str(text))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadInput(f"{path}: must hold keys of {KEY_BYTES} bytes in hexadecimal") from None
    return key
