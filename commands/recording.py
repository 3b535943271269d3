"""`--record`: what each device of a run went through, as a straggler trace (docs/replay.md).

Made from the run's config and events alone, so that it is the same for workers of this process, of
other processes and of other machines. What the profiles and traces of a device say is taken from
there; what the host added by being late, or what a device without emulation measured, is a factor
on it for each round.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from commands.errors import BadInput
from commands.unrolled import Planned, Scaling, planned, scaled
from coordinator.registry import ABSENT
from netem.pace import Pace, PaceError
from profiles import Fleet, Member, ProfileError, load_device, load_network
from profiles.fleet import fleet_from_mapping
from profiles.trace import DeviceTrace, Dropout, Intervals, Rate, RoundStart, Steps, TraceFile
from profiles.trace_writing import PHASES, TraceWriter, events_of, write_trace
from runs import records
from runs.errors import RunFolderError
from runs.experience import Experience, Lived, Loss, Story, read_experience
from runs.loading import load_config
from runs.values import table, text

FILE = "record.trace"
Factor = Callable[[int], float | None]
_ROUNDING = 1e-9
"""A factor so near to 1 is 1."""
_BROKEN = (ABSENT, "it connected anew", "download:", "upload:")
"""How the coordinator words it when a connection went; all else follows from slowness, from the
strategy or from the training, and happens again by itself where it should."""


def write_record(folder: Path) -> None:
    """Put the record of this run into its folder. Raises BadInput, ProfileError."""
    write_trace(folder / FILE, record_of(folder).trace)


def text_of(trace: TraceFile) -> str:
    """As it would be written."""
    stream = StringIO()
    writer = TraceWriter(stream, trace.title, trace.notes)
    for device in trace.devices:
        for at_s, what, value in events_of(device):
            writer.event(device.device, at_s, what, value)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Record:
    config: Mapping[str, object]
    fleet: Fleet
    """Who took part: where a worker joined as something else, as that."""
    trace: TraceFile


def record_of(folder: Path) -> Record:
    """From its config and events. Raises BadInput naming the file and the rule."""
    try:
        config = load_config(folder)
        experience = read_experience(records.read(folder / "events.jsonl"))
        fleet = fleet_from_mapping(table(config, "fleet"), f"{folder / 'config.toml'}: fleet")
    except (RunFolderError, ProfileError) as error:
        raise BadInput(str(error)) from error
    if not experience.rounds:
        raise BadInput(f"{folder / 'events.jsonl'}: no round was begun: there is nothing to replay")
    experience.elsewhere = text(table(config, "host"), "workers") == "elsewhere"
    joined, strange = as_joined(fleet, experience)
    virtual = text(table(config, "run"), "clock") == "virtual"
    devices = []
    for member in joined.members:
        story = experience.clients.get(member.index)
        if story is not None and story.rounds:
            told = _Told(member, story, experience, member.index in strange)
            devices.append(told.trace(replayable=not virtual))
    if not devices:
        raise BadInput(f"{folder / 'events.jsonl'}: no client took part in any round")
    run = table(config, "run")
    how = ", ".join(f"{key} {run[key]}" for key in ("strategy", "clock", "net") if key in run)
    notes = (
        how,
        "time 0 is when the device set out to join; devices are named by their client",
        "jitter and loss are no part of this: they follow from the network profile and the seed",
    )
    return Record(config, joined, TraceFile(f"recorded from {folder.name}", notes, tuple(devices)))


def as_joined(fleet: Fleet, experience: Experience) -> tuple[Fleet, frozenset[int]]:
    """The fleet with what really joined in each place, as far as a profile of that name is
    shipped; and the places of those of which none is."""
    members, strange = [], set()
    for member in fleet.members:
        story = experience.clients.get(member.index, Story())
        device, network = story.device, story.network
        same = (device in (None, member.device.name), network in (None, member.network.name))
        if not all(same):
            try:
                member = replace(
                    member,
                    device=member.device if same[0] else load_device(str(device)),
                    network=member.network if same[1] else load_network(str(network)),
                )
            except ProfileError:
                strange.add(member.index)
        members.append(member)
    return replace(fleet, members=tuple(members)), frozenset(strange)


class _Told:
    """One client's story as a trace."""

    def __init__(self, member: Member, story: Story, run: Experience, strange: bool) -> None:
        began_s = story.began_s if run.elsewhere else None
        self._member, self._story, self._strange = member, story, strange
        self._began_s = run.began_s if began_s is None else began_s
        begun = {**run.rounds, **story.rounds}
        self._rounds = {r: max(0.0, begun[r] - self._began_s) for r in sorted(begun)}
        self._end_s = max(run.ended_s - self._began_s, *self._rounds.values()) + 0.001
        self._pace = Pace(member.device.seconds_per_operation)

    def trace(self, replayable: bool) -> DeviceTrace:
        plan = planned(self._member, self._end_s)
        losses = [loss for loss in self._story.losses if loss.reason.startswith(_BROKEN)]
        marks = sorted((self._dropout(loss) for loss in losses), key=lambda mark: mark.at_s)
        gaps = [self._gap(mark) for mark in marks if replayable and not self._was_away(mark)]
        return DeviceTrace(
            str(self._member.index),
            self._end_s,
            self._rate(plan, "upload", plan.up),
            self._rate(plan, "download", plan.down),
            plan.up_delay_s,
            plan.down_delay_s,
            scaled(plan.pace, self._factors(self._speed)),
            without(plan.available, gaps),
            tuple(RoundStart(at_s, round_) for round_, at_s in self._rounds.items()),
            tuple(marks),
        )

    def _rate(self, plan: Planned, phase: str, rate: Rate) -> Rate:
        """Opportunities stay what they are: what is late by less than a packet's time is lost."""
        if not isinstance(rate, Steps):
            return rate
        mean = rate.total() / rate.end_s
        trip_s = plan.up_delay_s.values[0] + plan.down_delay_s.values[0]

        def factor(round_: int) -> float | None:
            lived = self._story.phases.get((round_, phase))
            if lived is None:
                return None
            if self._emulated(lived):
                return _kept_back(lived)
            carried = lived.bytes_up if phase == "upload" else lived.bytes_down
            spent_s = lived.seconds - trip_s
            return carried / spent_s / mean if carried and spent_s > 0 else None

        return scaled(rate, self._factors(factor))

    def _speed(self, round_: int) -> float | None:
        lived = self._story.phases.get((round_, "fit"))
        if lived is None:
            return None
        if self._emulated(lived):
            return _kept_back(lived)
        try:
            return self._pace.seconds(lived.work) / lived.seconds or None
        except (PaceError, ZeroDivisionError):
            return None

    def _emulated(self, lived: Lived) -> bool:
        return lived.late_s is not None and not self._strange

    def _factors(self, of_round: Factor) -> Scaling:
        """In rounds that tell nothing, as in the one before."""
        known = {r: factor for r in self._rounds if (factor := of_round(r)) is not None}
        measured = self._strange or any(each.late_s is None for each in self._story.phases.values())
        last = next(iter(known.values()), 1.0) if measured else 1.0
        factors = [(0.0, last)]
        for round_, at_s in self._rounds.items():
            last = known.get(round_, last)
            if at_s == factors[-1][0]:
                factors.pop()
            factors.append((at_s, last))
        return factors

    def _dropout(self, loss: Loss) -> Dropout:
        at_s = min(self._story.last_s.get(loss.round, loss.time_s), loss.time_s) - self._began_s
        phase = loss.phase if loss.phase in PHASES else "plan"
        return Dropout(min(max(0.0, at_s), self._end_s), loss.round, phase)

    def _gap(self, mark: Dropout) -> tuple[float, float]:
        """From when it was gone to when it was back, if ever."""
        returns = (at_s - self._began_s for at_s in self._story.back)
        back_s = min((at_s for at_s in returns if at_s > mark.at_s), default=self._end_s)
        return mark.at_s, min(back_s, self._end_s)

    def _was_away(self, mark: Dropout) -> bool:
        """Whether its device said that it went, in that round: its own trace says it again."""
        since_s = self._rounds.get(mark.round, 0.0)
        until_s = max(loss.time_s for loss in self._story.losses if loss.round == mark.round)
        went = (at_s for at_s, there in self._story.away if not there)
        return any(since_s <= at_s - self._began_s <= until_s - self._began_s for at_s in went)


def _kept_back(lived: Lived) -> float:
    """The share of its time that an emulated device would have needed had the host been in time."""
    if not lived.late_s or lived.seconds <= 0:
        return 1.0
    factor = max(0.0, lived.seconds - lived.late_s) / lived.seconds
    return 1.0 if 1 - factor < _ROUNDING else max(factor, 1e-3)


def without(available: Intervals, gaps: Iterable[tuple[float, float]]) -> Intervals:
    spans = list(available.spans_s)
    for from_s, to_s in gaps:
        cut = [piece for a, b in spans for piece in ((a, min(b, from_s)), (max(a, to_s), b))]
        spans = [(a, b) for a, b in cut if a < b]
    return replace(available, spans_s=tuple(spans))
