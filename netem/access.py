"""The seam to the network: what a device needs of it, whatever kind of link it has."""

from typing import Any, Protocol

import aiohttp

from netem.connector import ShapedConnector
from netem.device import Crossings, DeviceLinks, LinkPair
from netem.fidelity import FidelityMeter
from netem.present import OwnPresent, Present
from netem.timer import Timer


class Access(Protocol):
    """A device's access to the network."""

    @property
    def present(self) -> Present | None:
        """The time by which the device lives; None: the host's."""
        ...

    def bytes_passed(self) -> tuple[int, int]:
        """Bytes up and down so far, framing included: the `meter` of `protocol.telemetry`."""
        ...

    def late_s(self) -> float:
        """By how much the links have held the device up, beyond what its meter knows of."""
        ...

    def connector(self, **settings: Any) -> aiohttp.BaseConnector:  # noqa: ANN401
        """For one HTTP session, whose connections all cross the device's links."""
        ...

    def restart(self) -> None:
        """Forget how exact the links were so far."""
        ...

    def hang_up(self) -> None:
        """Drop all connections as they stand; new ones may be made."""
        ...

    def close(self) -> None:
        """End what is left, and add to the device's meter what it does not know yet."""
        ...


class StreamAccess:
    """Links shaped in the process that uses them; they report to the meter as they go."""

    def __init__(
        self,
        pair: LinkPair,
        timer: Timer,
        meter: FidelityMeter,
        shared: Crossings = (None, None),
    ) -> None:
        """`shared`: what its two directions share with other devices."""
        self._present = OwnPresent(timer)
        self._links = DeviceLinks(pair, timer, meter, shared, self._present)
        self.bytes_passed = self._links.bytes_passed
        self.losses = self._links.losses
        self.restart = meter.restart
        self.hang_up = self._links.hang_up
        self.close = self._links.close

    @property
    def present(self) -> Present:
        return self._present

    def late_s(self) -> float:
        return 0.0

    def connector(self, **settings: Any) -> aiohttp.BaseConnector:  # noqa: ANN401
        return ShapedConnector(self._links, **settings)
