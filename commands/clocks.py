"""What goes with which clock, and what does not: said in one line before anything starts."""

from commands.errors import BadInput
from commands.settings import RunSettings


def check_clock(settings: RunSettings) -> None:
    """Raises BadInput where the virtual clock is asked for together with the real world, or what
    is only charged in real time."""
    if settings.crypto == "modelled" and settings.adversary == "active":
        raise BadInput("crypto: modelled: not with adversary=active, where all is about checking")
    for part in ("crypto", "training"):
        if settings.clock != "virtual" and getattr(settings, part) == "modelled":
            raise BadInput(f"{part}: modelled: needs clock=virtual: in wall time all is computed")
    if settings.clock != "virtual":
        if settings.tcp == "rounds":
            raise BadInput("tcp: rounds: needs clock=virtual: in wall time segments are affordable")
        return
    if settings.net != "stream":
        raise BadInput(f"net: {settings.net}: the kernel keeps wall time: needs clock=wall")
    if settings.placement != "tasks":
        raise BadInput(
            f"clock: virtual: placement={settings.placement}: several processes have no common"
            " virtual clock"
        )


def refuse_virtual(settings: RunSettings, command: str) -> None:
    """Raises BadInput: workers of other machines live in real time."""
    if settings.clock == "virtual":
        raise BadInput(f"clock: virtual: not with `{command}`: its workers live in real time")
