"""A worker's life: join, get ready, take part in round after round, come back when cut off."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil

import aiohttp

from learning.structure import StructureError
from learning.task import TaskError
from learning.training import TrainingError
from protocol.errors import LocalError, ProtocolError
from protocol.identity import Identity
from protocol.messages import Failed, Message, Plan, Ready
from protocol.secagg.active import SignedClient
from protocol.secagg.choosing import ChoosingClient, choose
from protocol.secagg.client import ClientMachine
from protocol.secagg.guarded import GuardedClient
from protocol.secagg.keys import Randomness
from protocol.secagg.pinned import Pinned
from protocol.secagg.terms import Terms
from protocol.secagg.threshold import SMALLEST_CROWD
from protocol.settings import ClientSettings
from strategies.instruction import InstructionError
from strategies.times import TimesError
from worker.channel import Channel, ChannelLost, Joined, JoinRefused, LeftBehind, RunFinished
from worker.client import Client, Device, prepare_client
from worker.memory import Forgetful, Memory
from worker.party import GuardedParty, Party, PlainParty, SecureParty
from worker.pool import PoolError
from worker.round import ClientRound
from worker.transfer import TransferFailed, Transfers

RETRIES = 8
"""Attempts to come back after a lost connection: 0.5 s apart at first, doubling to 8 s."""
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 8.0


GIVEN_UP = (
    TrainingError,
    TaskError,
    PoolError,
    ProtocolError,
    LocalError,
    StructureError,
    TimesError,
    InstructionError,
)
"""What makes a client give a round up, and say so."""


@dataclass(frozen=True, slots=True)
class Pins:
    """What a worker must know from elsewhere where the coordinator is not to be believed."""

    identity: Identity
    identities: Mapping[int, bytes]
    """Everybody's identity keys, by client."""
    corrupt_fraction: float
    """How many of the clients may be in league with the coordinator."""
    crowd: int = SMALLEST_CROWD
    """Honest clients that a sum must be over, at least, if it may become known by itself."""

    @property
    def corrupt(self) -> int:
        """Of all clients, and all of these may be in any one sum: the coordinator plans it."""
        return ceil(self.corrupt_fraction * len(self.identities) - 1e-9)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to join and as what."""

    url: str
    token: str = field(repr=False)
    device: str
    member: int | None = None
    data_dir: str | None = None
    pins: Pins | None = None
    """With these the worker takes part in signed sums only, without them in no such sum."""
    time_scale: float = 1.0
    """By which this worker's clock is stretched; the run's must be the same."""
    randomness: Callable[[str], Randomness] = lambda purpose: os.urandom
    """A source for each purpose: what keys, shares and identity are drawn from."""
    machine: Callable[[int, Terms, Randomness], ClientMachine] = ClientMachine
    """This client's side of a sum against a semi-honest coordinator."""
    memory: Memory = field(default_factory=Forgetful)
    transfers: Callable[[aiohttp.ClientSession, str, str], Transfers] = Transfers


class Worker:
    """`session` goes through this worker's link; it neither knows nor cares what that is."""

    def __init__(
        self,
        place: Place,
        session: aiohttp.ClientSession,
        device: Device,
        on_joined: Callable[[str], None],
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_joined` hears each credential, which telemetry beside the link needs; `on_ready`
        that the device is calibrated and rounds may begin."""
        self._place = place
        self._http = session
        self._device = device
        self._on_joined = on_joined
        self._on_ready = on_ready
        self._identity = _identity(place)
        self._client: Client | None = None
        self._retries = 0
        self._last = (0, 0, b"")
        """Round, attempt and session of the last plan."""
        self._summed = 0
        """The last round of which the sum may be known."""

    async def run(self) -> str:
        """Take part until the coordinator ends the run; returns its reason.

        Raises JoinRefused, or ChannelLost when the coordinator stays away."""
        while True:
            try:
                await self._attend(await Channel.open(self._http, self._place.url))
            except RunFinished as finish:
                return str(finish)
            except ChannelLost:
                if self._client is None or self._retries == RETRIES:
                    raise
            await asyncio.sleep(min(FIRST_RETRY_S * 2**self._retries, LAST_RETRY_S))
            self._retries += 1

    async def _attend(self, channel: Channel) -> None:
        """Ends by an exception only."""
        try:
            await self._converse(channel)
        finally:
            await channel.close()

    async def _converse(self, channel: Channel) -> None:
        with self._device.tracer.span("join", 0):
            joined = await channel.join(
                self._place.token, self._place.device, self._identity, self._former_place()
            )
        self._retries = 0
        self._on_joined(joined.welcome.credential)
        client = await self._prepare(joined)
        transfers = self._place.transfers(self._http, self._place.url, joined.welcome.credential)
        await channel.send(Ready(client.examples))
        message: Message | None = None
        while True:
            message = message or await channel.receive()
            if isinstance(message, Plan):
                message = await self._take_part(client, message, channel, transfers)
            else:
                message = None  # a round's end, or the rest of a round this client has left

    def _former_place(self) -> int | None:
        """A coordinator that was restarted knows nobody: its clients keep their places."""
        return self._place.member if self._client is None else self._client.id

    async def _prepare(self, joined: Joined) -> Client:
        """The client of an earlier welcome goes on, with its evidence; keys follow the session."""
        place = joined.welcome.client
        if self._client is None or self._client.id != place:
            settings = ClientSettings.from_mapping(joined.welcome.settings)
            self._check(settings)
            self._client = await prepare_client(
                (place, joined.session),
                settings,
                self._place.data_dir,
                self._device,
                self._place.memory,
            )
            self._on_ready()
        self._client = replace(self._client, session=joined.session)
        return self._client

    def _check(self, settings: ClientSettings) -> None:
        """Whether the coordinator is to be believed is not the coordinator's to say alone."""
        if settings.time_scale != self._place.time_scale:
            raise JoinRefused(
                f"the run's time is stretched by {settings.time_scale:g}, this worker's by "
                f"{self._place.time_scale:g}: start it with --time-scale {settings.time_scale:g}"
            )
        if (settings.adversary == "active") == (self._place.pins is None):
            raise JoinRefused(
                f"the run is against a coordinator that is {settings.adversary}; this worker "
                f"{'has no' if self._place.pins is None else 'was given a'} roster of identities"
            )
        if self._place.pins is not None and settings.aggregation == "plain":
            raise JoinRefused(
                "the run sums in the clear; this worker was given a roster of identities and takes"
                " part in signed sums only"
            )

    async def _take_part(
        self, client: Client, plan: Plan, channel: Channel, transfers: Transfers
    ) -> Message | None:
        """Play the round; a message that came instead of what was due is handed back."""
        party: Party | None = None
        try:
            self._check_plan(client, plan)
            party = _party(client, plan, channel, self._place)
            await ClientRound(client, plan, party, transfers, channel).play()
        except LeftBehind as behind:
            return behind.message
        except TransferFailed as failure:
            self._device.tracer.event("transfer_failed", plan.round, reason=str(failure))
            # Only this side may know: nobody shall wait for an upload that will not come.
            await channel.send(Failed(plan.round, str(failure)[:200]))
        except GIVEN_UP as error:
            await channel.send(Failed(plan.round, f"{type(error).__name__}: {error}"[:200]))
        finally:
            if party is not None and party.unmasked:
                self._summed = plan.round
        return None

    def _check_plan(self, client: Client, plan: Plan) -> None:
        """A round is summed once: the same training summed among others a second time would tell
        one client's update by the difference. What this client did not help to unmask a restarted
        coordinator may try again, in a new session. And only as the welcome said."""
        last, attempt, session = self._last
        again = plan.round == last > self._summed and plan.attempt > attempt
        again &= client.session != session
        if plan.round <= last and not again:
            raise ProtocolError(f"round {plan.round} comes again, or after {last}")
        self._last = plan.round, plan.attempt, client.session
        if plan.aggregation != client.settings.aggregation:
            raise ProtocolError(f"the plan is of {plan.aggregation} aggregation, the run is not")
        client.check_pattern(plan)


def _identity(place: Place) -> Identity:
    return place.pins.identity if place.pins else Identity.generate(place.randomness("identity"))


def _party(client: Client, plan: Plan, channel: Channel, place: Place) -> Party:
    if plan.aggregation == "plain":
        return PlainParty(plan, channel, client.device)
    randomness = place.randomness(f"round {plan.round} attempt {plan.attempt}")
    pins = place.pins
    if pins is None:
        machine = place.machine(client.id, Terms.of_plan(client.session, plan), randomness)
        return SecureParty(plan, channel, client.device, machine)
    return GuardedParty(plan, channel, client.device, _guarded(client, plan, pins, randomness))


def _guarded(client: Client, plan: Plan, pins: Pins, randomness: Randomness) -> GuardedClient:
    """Where each has few neighbours, this client chooses its own. Together with its keys it signs
    what is trained, so that it masks only with clients that train the same."""
    if not plan.training:
        raise ProtocolError("the plan does not say what all train alike")
    terms = Terms.of_plan(client.session, plan, active=True)
    pinned = Pinned(terms, pins.identities, pins.corrupt, pins.crowd)
    if plan.aggregation == "secagg":
        return SignedClient(ClientMachine(client.id, terms, randomness), pins.identity, pinned)
    terms = choose(terms, client.id, randomness)
    return ChoosingClient(ClientMachine(client.id, terms, randomness), pins.identity, pinned)
