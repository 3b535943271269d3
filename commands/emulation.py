"""Putting a device around a worker: its links, its pace, its clock. The only place that does.

The worker gets an HTTP session whose connections cross the device's links, and machines that take
as long as the device would. Nothing tells it so.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from ssl import SSLContext

import aiohttp

from commands.absence import Absences, Playing, Schedule
from commands.randomness import Source, unpredictable
from commands.replayed import (
    Follower,
    HeardTracer,
    Leaving,
    Replayed,
    aligned_links,
    aligned_speed,
)
from commands.traced import presence_of, speed_of, traced_pair
from learning.training import TrainingJob
from netem.access import Access, StreamAccess
from netem.alignment import AlignedPresence
from netem.device import LinkPair
from netem.fidelity import FidelityMeter
from netem.jitter import Jitter
from netem.link import LinkParameters
from netem.machine import EmulatedMachine
from netem.pace import Pace, Speed
from netem.tcp.parameters import TcpParameters
from netem.timer import Timer
from profiles import NO_CONTROL, Network, NetworkJitter, NetworkTransport, PlayedTrace
from profiles import Device as DeviceProfile
from protocol.secagg.client import ClientMachine
from protocol.telemetry import Json, Recorder, Tracer
from worker.client import Device
from worker.machine import Executor
from worker.memory import Forgetful, Memory
from worker.transfer import Transfers
from worker.worker import Pins, Place, Worker

Clock = Callable[[], float]
NewAccess = Callable[[FidelityMeter], Access]


def run_clock(time_scale: float) -> Clock:
    """Emulated seconds: the loop's own, stretched by `time_scale`."""
    loop = asyncio.get_running_loop()
    return lambda: loop.time() / time_scale


Undisturbed = Callable[[Sequence[TrainingJob]], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Host:
    """What all emulated devices of this process share."""

    timer: Timer
    trainer: Executor
    """Where models are trained and judged."""
    cpu: Executor
    """Where short work is done: hashes, keys, masks."""
    time_scale: float
    clock: Clock
    undisturbed: Undisturbed
    """See `worker.client.Device`."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a worker gets at things: its data, a coordinator's certificate, who hears of joining."""

    data_dir: str | None = None
    ssl: SSLContext | None = None
    on_joined: Callable[[str], None] = lambda credential: None
    pins: Callable[[int], Pins | None] = lambda member: None
    """By member: its identity and everybody's, where the coordinator is not believed."""
    randomness: Source = unpredictable
    machine: type[ClientMachine] = ClientMachine
    memory: Callable[[int], Memory] = lambda member: Forgetful()
    transfers: type[Transfers] = Transfers


@dataclass(frozen=True, slots=True)
class Site:
    """A device behind its network; `member` is its index in the run's fleet, if it has one."""

    device: DeviceProfile
    network: Network
    member: int | None = None
    listed: bool = True
    """Whether the run's config says what plays that place: of a population it does not."""
    seed: int = 0
    """Of the run: what chance decides on its links follows from it."""
    trace: PlayedTrace | None = None
    """What changes over time, counted from when the device is made."""
    replayed: Replayed | None = None
    """What it goes through again."""
    by_rounds: bool = False
    """Whether its TCP senders are modelled in round trips."""


class EmulatedWorker:
    """A worker inside its device."""

    def __init__(
        self, site: Site, host: Host, recorder: Recorder, access: NewAccess | None = None
    ) -> None:
        """`access` makes its links report to a meter; by default stream links."""
        self.site = site
        self._time_scale = host.time_scale
        self._meter = FidelityMeter()
        if access is None:
            pair = links_of(site, host.time_scale, host.timer.now())
            self._access: Access = StreamAccess(pair, host.timer, self._meter)
        else:
            self._access = access(self._meter)
        self._timer = host.timer
        clock = host.timer.now(), host.time_scale
        self._ready, self._moved = asyncio.Event(), asyncio.Event()
        self._presence = self._presence_of(clock)
        pace, speed = Pace(site.device.seconds_per_operation), _speed_of(site, clock)

        def machine(executor: Executor) -> EmulatedMachine:
            given = host.timer, self._meter, speed, self._access.present
            return EmulatedMachine(pace, executor, *given)

        self._device = Device(
            machine(host.trainer),
            machine(host.cpu),
            self._tracer_of(recorder, host),
            host.undisturbed,
        )

    def _tracer_of(self, recorder: Recorder, host: Host) -> Tracer:
        measures = self.site.member, self._access.bytes_passed, self._late_s
        clock = _clock_of(self._access, host)
        if self.site.replayed is None:
            return Tracer(recorder, clock, *measures)
        tracer = HeardTracer(recorder, clock, *measures)
        tracer.on_phase = Follower(self.site.replayed, host.clock).entered
        return tracer

    async def run(self, url: str, token: str, ways: Ways) -> str:
        """Play the device until the coordinator ends the run; returns its reason."""
        member = self.site.member
        pins = None if member is None else ways.pins(member)
        device = self.site.device.name
        drawn = self._draws(ways)
        memory = Forgetful() if member is None else ways.memory(member)
        means = drawn, ways.machine, memory, ways.transfers
        place = Place(url, token, device, member, ways.data_dir, pins, self._time_scale, *means)
        timeout = aiohttp.ClientTimeout(total=None)  # a slow transfer is not a failed one
        connector = self._access.connector(limit=0, ssl=ways.ssl or True)
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                worker = Worker(place, session, self._device, self._joined(ways), self._prepared)
                return await self._play(worker)
        finally:
            self._access.close()
            self._report()

    async def _play(self, worker: Playing) -> str:
        tracer, hang_up, replayed = self._device.tracer, self._access.hang_up, self.site.replayed
        if replayed is not None and replayed.dropouts:
            worker = Leaving(worker, self._timer, self._time_scale, hang_up, tracer)
        if self._presence is None:
            return await worker.run()
        waits = self._ready, self._moved
        return await Absences(self._presence, self._timer, hang_up, tracer, *waits).play(worker)

    def _presence_of(self, clock: tuple[float, float]) -> Schedule | None:
        presence, replayed = presence_of(self.site.trace, clock), self.site.replayed
        if presence is None or replayed is None:
            return presence
        replayed.alignment.on_move.append(self._moved.set)
        return AlignedPresence(presence, replayed.alignment, clock[1])

    def _prepared(self) -> None:
        """What went before is not to be measured, nor missed."""
        self._access.restart()
        self._ready.set()

    def _late_s(self) -> float:
        return (self._meter.late_s + self._access.late_s()) / self._time_scale

    def _draws(self, ways: Ways) -> Source:
        return lambda purpose: ways.randomness(f"client {self.site.member} {purpose}")

    def _joined(self, ways: Ways) -> Callable[[str], None]:
        def joined(credential: str) -> None:
            ways.on_joined(credential)
            if self.site.member is None or not self.site.listed:
                device, network = self.site.device.name, self.site.network.name
                self._device.tracer.event("client_joined", 0, None, device=device, network=network)

        return joined

    def _report(self) -> None:
        """In the run's own seconds, like everything else that is recorded."""
        measured, scale = self._meter.measured(), self._time_scale
        late_ms = (measured.lateness_ms_p50, measured.lateness_ms_p99, measured.lateness_ms_max)
        p50, p99, worst = (None if late is None else late / scale for late in late_ms)
        rate_error: Json = None
        if measured.rate_error_p50 is not None:
            rate_error = {
                "p50": measured.rate_error_p50,
                "max": measured.rate_error,
                "worst": measured.rate_error_max,
            }
        self._device.tracer.event(
            "fidelity",
            0,
            lateness_ms={"p50": p50, "p99": p99, "max": worst},
            releases=[[late / scale, count] for late, count in self._meter.lateness_ms()],
            rate_error=rate_error,
            overrun_s=measured.overrun_s / scale,
            late_jobs=measured.late_jobs,
        )


def _clock_of(access: Access, host: Host) -> Clock:
    """A device measures by its own time."""
    present = access.present
    if present is None:
        return host.clock
    return lambda: present.now() / host.time_scale


def links_of(site: Site, time_scale: float, epoch_s: float) -> LinkPair:
    """`epoch_s`: of the clock, when its trace begins."""
    chance = (site.seed, 0 if site.member is None else site.member)
    pair = link_pair(site.network, chance)
    if site.trace is not None:
        pair = traced_pair(pair, site.trace, site.network.transport, epoch_s)
    if site.replayed is not None:
        pair = traced_pair(pair, site.replayed.over, site.network.transport, epoch_s)
        pair = aligned_links(pair, site.replayed.alignment)
    if site.by_rounds:
        pair = LinkPair(_by_rounds(pair.up), _by_rounds(pair.down))
    return pair.scaled(time_scale)


def _by_rounds(link: LinkParameters) -> LinkParameters:
    return replace(link, tcp=link.tcp and replace(link.tcp, by_rounds=True))


def _speed_of(site: Site, clock: tuple[float, float]) -> Speed:
    if site.replayed is None:
        return speed_of(site.trace, clock)
    own = site.trace if site.replayed.over.pace is None else site.replayed.over
    return aligned_speed(speed_of(own, clock), site.replayed.alignment, clock[1])


def link_pair(network: Network, chance: tuple[int, ...] = (0,)) -> LinkPair:
    """`chance` seeds what is random about these two links, each direction for itself."""
    return LinkPair(
        _link(network, network.up_bytes_per_s, (*chance, 0)),
        _link(network, network.down_bytes_per_s, (*chance, 1)),
    )


def _link(network: Network, bytes_per_s: float, seed: tuple[int, ...]) -> LinkParameters:
    variation, tcp = _wander(network.jitter, seed), _tcp(network.transport, bytes_per_s, seed)
    return LinkParameters(bytes_per_s, network.rtt_s / 2, variation=variation, tcp=tcp)


def _tcp(
    transport: NetworkTransport, bytes_per_s: float, seed: tuple[int, ...]
) -> TcpParameters | None:
    if transport.congestion_control == NO_CONTROL:
        return None
    queue_bytes = transport.queue_at(bytes_per_s)
    return TcpParameters(transport.congestion_control, queue_bytes, transport.loss, seed)


def _wander(jitter: NetworkJitter | None, seed: tuple[int, ...]) -> Jitter | None:
    if jitter is None:
        return None
    return Jitter(jitter.spread_s, jitter.correlation_s, jitter.distribution, seed)
