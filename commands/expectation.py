"""--dry-run: what each device is expected to take, from its profile and the cost model alone.

The same arithmetic that the emulation charges, without running anything: transfers at the link's
rate plus its delay, training and cryptography by their work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from commands.study import Study
from learning.tasks import data_card, initial_vector
from learning.training import TrainingJob, work
from netem.link import wire_bytes
from netem.pace import Pace
from profiles import Member
from protocol.secagg import cost
from protocol.secagg.packing import packed_size
from protocol.sizes import CHECKSUM_BYTES
from protocol.stragglers import Verdict, find_stragglers
from protocol.work import Tally, total

LISTED = 60
"""Clients; of a larger fleet quantiles are shown."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds of one unpruned round on one device."""

    control_s: float
    download_s: float
    fit_s: float
    crypto_s: float
    upload_s: float

    @property
    def network_s(self) -> float:
        return self.download_s + self.upload_s

    @property
    def total_s(self) -> float:
        return self.control_s + self.network_s + self.fit_s + self.crypto_s

    def columns(self) -> tuple[float, ...]:
        """As the table shows them."""
        parts = self.control_s, self.download_s, self.fit_s, self.crypto_s, self.upload_s
        return *parts, self.total_s


def expect(study: Study, member: Member, common: tuple[TrainingJob, Tally]) -> Expected:
    """What the profile says that `member` takes for a round without pruning; `common`: anybody's
    training, and everybody's cryptography."""
    job, crypto = common
    network, pace = member.network, Pace(member.device.seconds_per_operation)
    down = wire_bytes(4 * study.task.structure.size) / network.down_bytes_per_s
    body = packed_size(study.words, study.fixed_point.ring_bits) + CHECKSUM_BYTES
    up = wire_bytes(body) / network.up_bytes_per_s
    return Expected(
        control_s=_control_trips(study) * network.rtt_s,
        download_s=down + network.rtt_s,
        fit_s=pace.seconds(work(replace(job, client=member.index))),
        crypto_s=pace.seconds(crypto),
        upload_s=up + network.rtt_s,
    )


def expected_stragglers(study: Study, expected: dict[int, Expected]) -> Verdict:
    settings = study.settings
    times = {client: each.fit_s + each.network_s for client, each in expected.items()}
    return find_stragglers(times, settings.straggler_share, settings.straggler_margin)


def print_expectation(study: Study) -> None:
    common = _full_job(study, 0), _crypto(study)
    expected = {member.index: expect(study, member, common) for member in study.fleet.members}
    verdict = expected_stragglers(study, expected)
    many = len(expected) > LISTED
    console = Console()
    print(f"{study.fleet.name}, task {study.task.name}: seconds expected of an unpruned round")
    console.print(_quantiles(expected) if many else _members(study, expected, verdict))
    if not study.draw.everybody or many:
        counted = f"{len(verdict.stragglers)} stragglers among {study.clients} clients"
        console.print(f"{counted}; about {study.planned} of them take part in a round")
    slowest_s = max(each.total_s for each in expected.values())
    rounds = study.settings.rounds
    console.print(
        f"slowest client {slowest_s:.1f} s: {rounds} rounds take about {rounds * slowest_s:.0f} s"
        f" unpruned; the slowest of the others needs {verdict.target_s:.1f} s"
    )
    console.print(f"\n{data_card(study.task)}", highlight=False)


def _members(study: Study, expected: Mapping[int, Expected], verdict: Verdict) -> Table:
    table = _table(("#", "device", "network"))
    table.add_column("", no_wrap=True)
    for member in study.fleet.members:
        slow = "straggler" if member.index in verdict.stragglers else ""
        names = str(member.index), member.device.name, member.network.name
        table.add_row(*names, *(f"{s:.2f}" for s in expected[member.index].columns()), slow)
    return table


def _quantiles(expected: Mapping[int, Expected]) -> Table:
    """Of a fleet too large to list: each column on its own."""
    table = _table(("of the clients",))
    columns = np.array([each.columns() for each in expected.values()])
    for said, share in (("fastest", 0), ("median", 50), ("95 %", 95), ("slowest", 100)):
        table.add_row(said, *(f"{s:.2f}" for s in np.percentile(columns, share, axis=0)))
    return table


def _table(names: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in names:
        table.add_column(column, no_wrap=True)
    for column in ("keys", "down", "fit", "masks", "up", "total"):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _control_trips(study: Study) -> int:
    """Exchanges of control messages in a round: notes; or keys, shares and unmasking, and one
    more for consistency against an active coordinator."""
    if study.settings.aggregation == "plain":
        return 1
    return 4 if study.settings.adversary == "active" else 3


def _full_job(study: Study, client: int) -> TrainingJob:
    training = study.client_settings
    return TrainingJob(
        task=study.task.settings,
        client=client,
        round=1,
        vector=initial_vector(study.task.settings),
        keep={},
        epochs=training.epochs,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        optimiser=training.optimiser,
    )


def _crypto(study: Study) -> Tally:
    """Keys, shares, quantisation and masks of one client with everybody there."""
    if study.settings.aggregation == "plain":
        return cost.quantise(study.words)
    parties = study.planned
    threshold, neighbours = study.degree(parties)
    held = neighbours or parties - 1
    holders = held if neighbours else parties
    peers, checked, made = held, 0, 0
    if study.active:
        peers = round(held * (2 - held / (parties - 1)))  # whom it chose, and who chose it
        made, checked = 1 + (neighbours or 1), peers + 1 + (threshold if neighbours else parties)
    vector_bytes = study.words * study.fixed_point.word.itemsize
    return total(
        cost.advertise(),
        cost.receive_roster(peers),
        cost.share(holders, held, threshold),
        cost.receive_delivery(held),
        cost.quantise(study.words),
        cost.masks(peers + 1, vector_bytes),
        cost.signatures(made, checked) if study.active else {},
    )
