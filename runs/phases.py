"""The phases of a round: their order, their words and their colours, wherever they are shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    says: str
    colour: str
    """As #rrggbb, told apart on light and on dark, and by the colour-blind next to its neighbours
    (after Okabe and Ito, 2008)."""


PHASES = (
    Phase("plan", "plan sent", "#9a8c98"),
    Phase("keys", "public keys", "#b07aa1"),
    Phase("shares", "secret shares", "#d37295"),
    Phase("download", "model download", "#56b4e9"),
    Phase("fit", "local training", "#e69f00"),
    Phase("mask", "masking", "#8c6bb1"),
    Phase("upload", "upload", "#0072b2"),
    Phase("waiting", "waiting for others", "#b5b5b5"),
    Phase("consistency", "survivors signed", "#a05195"),
    Phase("unmask", "unmasking", "#cc5a71"),
    Phase("apply", "model applied", "#6b7f8c"),
    Phase("other", "not covered by a phase", "#d8d8d8"),
)
COLOUR = {phase.name: phase.colour for phase in PHASES}
NAMES = tuple(phase.name for phase in PHASES)
AFTER_COLLECT = ("consistency", "unmask")
"""What follows the last upload. Consistency is signed only against an active coordinator."""
CLIENT_PHASES = ("keys", "shares", "download", "fit", "mask", "upload", *AFTER_COLLECT)
"""What a client does in a round, in order."""
