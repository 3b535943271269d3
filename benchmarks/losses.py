"""Lose workers on purpose: a real emulated run in which a worker vanishes in each phase.

    python -m benchmarks.losses [--lose CLIENT@ROUND:PHASE]... [the options of `run`]

A worker is gone from one instant to the next, as it enters the phase: its connections close and
nothing is said. By default one goes in each phase, in rounds 1, 2, …, so that the closing table has
what each phase costs and the record (events `client_lost`) in which phase the coordinator missed
whom. What it sees of download, fit, mask and upload is one phase, *collect*.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from commands.closing import close
from commands.emulation import EmulatedWorker, Host, Site, Ways
from commands.errors import BadInput
from commands.execution import Invitation, Workers, execute
from commands.identities import pins_of
from commands.options import add_run_options, settings_of
from commands.study import Study, prepare
from protocol.telemetry import Json, Recorder, Tracer
from runs.phases import CLIENT_PHASES
from worker.channel import ChannelLost

Losses = Mapping[int, tuple[int, str]]
"""By client: the round and the phase as it enters which it vanishes."""


class Vanished(Exception):
    """The worker is gone, as was asked for."""


class VanishingTracer(Tracer):
    """Ends its worker as the span of a phase would begin."""

    at: tuple[int, str] | None = None

    @contextmanager
    def span(self, phase: str, round_: int) -> Iterator[dict[str, Json]]:
        if (round_, phase) == self.at:
            raise Vanished
        with super().span(phase, round_) as notes:
            yield notes


class VanishingWorker(EmulatedWorker):
    def __init__(self, site: Site, host: Host, recorder: Recorder, losses: Losses) -> None:
        super().__init__(site, host, recorder)
        tracer = VanishingTracer(
            recorder, host.clock, site.member, self._access.bytes_passed, self._late_s
        )
        tracer.at = losses.get(-1 if site.member is None else site.member)
        self._device = replace(self._device, tracer=tracer)


def losing(study: Study, losses: Losses) -> Workers:
    """The study's fleet, as tasks over stream links, of which some vanish."""
    settings = study.settings

    async def play(invitation: Invitation, host: Host, recorder: Recorder) -> None:
        pins = pins_of(study.identities, settings.corrupt, settings.crowd)
        ways = Ways(settings.data, pins=pins)

        async def one(site: Site) -> None:
            worker = VanishingWorker(site, host, recorder, losses)
            with suppress(Vanished, ChannelLost):
                await worker.run(invitation.url, invitation.token, ways)

        async with asyncio.TaskGroup() as group:
            for m in study.fleet.members:
                group.create_task(one(Site(m.device, m.network, m.index, True, settings.seed)))

    return play


def one_in_each_phase(phases: Sequence[str], clients: int) -> dict[int, tuple[int, str]]:
    """Client 1 in the first phase of round 1, client 2 in the second of round 2, and so on."""
    return {round_ % clients: (round_, phase) for round_, phase in enumerate(phases, start=1)}


def parsed(text: str) -> tuple[int, tuple[int, str]]:
    """CLIENT@ROUND:PHASE. Raises BadInput."""
    client, _, rest = text.partition("@")
    round_, _, phase = rest.partition(":")
    if not (client.isdecimal() and round_.isdecimal() and phase in CLIENT_PHASES):
        known = ", ".join(CLIENT_PHASES)
        raise BadInput(
            f"--lose: {text!r}: must be CLIENT@ROUND:PHASE, a phase being one of {known}"
        )
    return int(client), (int(round_), phase)


def print_losses(folder: Path, losses: Losses) -> None:
    """What was asked beside what the coordinator recorded."""
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    lost = {e["client"]: e for e in events if e.get("kind") == "client_lost"}
    finished = {e["round"]: e for e in events if e.get("kind") == "round_finished"}
    print(f"\n{'client':>6} {'round':>5}  {'vanished in':<12} {'missed in':<12} survivors")
    for client, (round_, phase) in sorted(losses.items()):
        missed = lost[client]["notes"]["phase"] if client in lost else "-"
        ended = finished.get(round_)
        summed = len(ended["notes"]["survivors"]) if ended else "round failed"
        print(f"{client:>6} {round_:>5}  {phase:<12} {missed:<12} {summed}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.losses", description=__doc__)
    parser.add_argument("--lose", action="append", default=[], metavar="CLIENT@ROUND:PHASE")
    add_run_options(parser)
    arguments = parser.parse_args()
    try:
        settings = settings_of(arguments)
        phases = [
            phase
            for phase in CLIENT_PHASES
            if settings.adversary == "active" or phase != "consistency"
        ]
        if arguments.rounds is None and not arguments.lose:
            settings = replace(settings, rounds=len(phases))
        study = prepare(settings)
        losses = dict(map(parsed, arguments.lose)) or one_in_each_phase(phases, study.clients)
        finished = execute(study, arguments.out, losing(study, losses))
        close(finished, arguments)
        print_losses(finished.path, losses)
    except BadInput as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
