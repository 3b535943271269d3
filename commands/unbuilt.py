"""Words of the contract that are not built yet: they say so instead of doing half of it."""

from collections.abc import Mapping

from commands.errors import not_built_yet

COMMANDS: Mapping[str, str] = {
    "attack": "membership inference against a run's model",
}


def refuse(word: str) -> None:
    """Raises BadInput if `word` is such a command."""
    if word in COMMANDS:
        raise not_built_yet(word)
