"""--dry-run: what each device is expected to take, from its profile and the cost model alone.

The same arithmetic that the emulation charges, without running anything: transfers at the link's
rate plus its delay, training and cryptography by their work.
"""

from dataclasses import dataclass

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


def expect(study: Study, member: Member) -> Expected:
    """What the profile says that `member` takes for a round without pruning."""
    network, pace = member.network, Pace(member.device.seconds_per_operation)
    down = wire_bytes(4 * study.task.structure.size) / network.down_bytes_per_s
    body = packed_size(study.words, study.settings.ring_bits) + CHECKSUM_BYTES
    up = wire_bytes(body) / network.up_bytes_per_s
    return Expected(
        control_s=_control_trips(study) * network.rtt_s,
        download_s=down + network.rtt_s,
        fit_s=pace.seconds(work(_full_job(study, member.index))),
        crypto_s=pace.seconds(_crypto(study)),
        upload_s=up + network.rtt_s,
    )


def expected_stragglers(study: Study, expected: dict[int, Expected]) -> Verdict:
    settings = study.settings
    times = {client: each.fit_s + each.network_s for client, each in expected.items()}
    return find_stragglers(times, settings.straggler_share, settings.straggler_margin)


def print_expectation(study: Study) -> None:
    expected = {member.index: expect(study, member) for member in study.fleet.members}
    verdict = expected_stragglers(study, expected)
    title = f"{study.fleet.name}, task {study.task.name}: seconds expected of an unpruned round"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), title_justify="left")
    for column in ("#", "device", "network"):
        table.add_column(column, no_wrap=True)
    for column in ("keys", "down", "fit", "masks", "up", "total"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for member in study.fleet.members:
        each = expected[member.index]
        times = (each.control_s, each.download_s, each.fit_s, each.crypto_s, each.upload_s)
        cells = (f"{seconds:.2f}" for seconds in (*times, each.total_s))
        slow = "straggler" if member.index in verdict.stragglers else ""
        table.add_row(str(member.index), member.device.name, member.network.name, *cells, slow)
    console = Console()
    console.print(table)
    slowest_s = max(each.total_s for each in expected.values())
    rounds = study.settings.rounds
    console.print(
        f"slowest client {slowest_s:.1f} s: {rounds} rounds take about {rounds * slowest_s:.0f} s"
        f" unpruned; the slowest of the others needs {verdict.target_s:.1f} s"
    )
    console.print(f"\n{data_card(study.task)}", highlight=False)


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
    threshold, neighbours = study.degree(study.clients)
    peers = neighbours or study.clients - 1
    holders = peers if neighbours else study.clients
    signed = study.settings.adversary == "active"
    vector_bytes = study.words * study.fixed_point.word.itemsize
    return total(
        cost.advertise(),
        cost.receive_roster(peers),
        cost.share(holders, peers, threshold),
        cost.receive_delivery(peers),
        cost.quantise(study.words),
        cost.masks(peers + 1, vector_bytes),
        cost.signatures(made=2, checked=2 * study.clients) if signed else {},
    )
