"""The laws of the TCP model: nothing lost for good, nothing too fast, nothing by chance."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.channel import Phantom, Piece, Signal
from netem.fidelity import FidelityMeter
from netem.link import FRAME_BYTES, LinkParameters, wire_bytes
from netem.loss import RandomLoss
from netem.pipe import Pipe
from netem.tcp.bottleneck import Bottleneck
from netem.tcp.parameters import INITIAL_WINDOW, SOCKET_BUFFER_BYTES, TcpError, TcpParameters
from netem.timer import ManualTimer
from tests.netem.tcp_rig import Cell, Rig, transfer_s

MS = 125  # bytes in a millisecond at 1 Mbit/s

cells = st.builds(
    Cell,
    mbit_s=st.sampled_from([1, 8, 50]),
    rtt_ms=st.sampled_from([2, 30, 150]),
    queue_bytes=st.sampled_from([15140, 60_000, 1_000_000]),
    congestion_control=st.sampled_from(["cubic", "reno"]),
    loss=st.sampled_from([0.0, 0.01, 0.1]),
    seed=st.tuples(st.integers(0, 9)),
)
Write = tuple[float, int, int]
plans = st.lists(
    st.tuples(st.floats(0, 0.4), st.integers(0, 2), st.integers(0, 60_000)), min_size=1, max_size=8
)


class Log:
    """A far end that keeps what comes, with the time."""

    def __init__(self, timer: ManualTimer) -> None:
        self._timer = timer
        self.items: list[bytes | Signal] = []
        self.times: list[float] = []

    def arrived(self, items: list[Piece | Signal]) -> None:
        self.items += [item if callable(item) else _bytes(item) for item in items]
        self.times.append(self._timer.now())

    def sent(self) -> None:
        """It writes by its plan."""

    def content(self) -> bytes:
        return b"".join(item for item in self.items if not callable(item))


def _bytes(piece: Piece) -> bytes:
    if isinstance(piece, Phantom):
        raise TypeError("only real bytes were sent")
    return bytes(piece)


def play(link: LinkParameters, plan: list[Write], late_s: float = 0.0) -> tuple[list[Log], Pipe]:
    """Write by the plan (gap, connection, bytes; 0 is a signal) and let everything arrive."""
    timer = ManualTimer()
    pipe = Pipe(link, timer, FidelityMeter(), link)
    logs = [Log(timer) for _ in range(3)]
    channels = [pipe.channel(log) for log in logs]
    for number, (gap_s, which, size) in enumerate(plan):
        timer.advance(timer.now() + gap_s, late_s)
        channels[which].send(bytes([number]) * size if size else lambda: None)
    timer.advance(3000.0, late_s)
    return logs, pipe


@given(cells, plans)
@settings(max_examples=60)
def test_everything_arrives_once_and_in_order(cell: Cell, plan: list[Write]) -> None:
    logs, pipe = play(cell.link(), plan)
    for which, log in enumerate(logs):
        mine = [(number, size) for number, (_, to, size) in enumerate(plan) if to == which]
        assert log.content() == b"".join(bytes([number]) * size for number, size in mine)
        signals = [i for i, (_, size) in enumerate(mine) if not size]
        assert sum(map(callable, log.items)) == len(signals)
        assert log.times == sorted(log.times)
    payload = sum(size for _, _, size in plan)
    assert pipe.passed.wire >= payload


@given(cells, plans)
@settings(max_examples=40)
def test_waking_late_changes_nothing_but_when_it_is_handed_over(
    cell: Cell, plan: list[Write]
) -> None:
    """What is offered at given times goes on the wire at given times."""
    prompt, pipe = play(cell.link(), plan)
    tardy, same = play(cell.link(), plan, late_s=0.003)
    assert [log.content() for log in prompt] == [log.content() for log in tardy]
    assert pipe.passed == same.passed
    last = [max(log.times, default=0) for log in prompt]
    late = [max(log.times, default=0) for log in tardy]
    assert all(0 <= b - a <= 0.003 + 1e-6 for a, b in zip(last, late, strict=True))


@given(cells, st.integers(1, 300_000))
@settings(max_examples=60)
def test_no_transfer_is_faster_than_the_wire(cell: Cell, count: int) -> None:
    rig = Rig(cell.link())
    application = rig.application()
    application.write(count)
    rig.run_until(lambda: application.count == count)
    link = cell.link()
    for at_s, so_far in application.arrivals:
        assert at_s >= wire_bytes(so_far) / link.bytes_per_s + link.delay_s - 1e-9
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(application.arrivals))


@given(cells)
@settings(max_examples=40)
def test_windows_stay_within_bounds(cell: Cell) -> None:
    rig = Rig(cell.link())
    application = rig.application()
    sender = application.sender.sender
    application.write(400_000)
    while application.count < 400_000:
        rig.timer.advance(rig.timer.next_s())
        assert 0 <= sender.board.in_flight <= SOCKET_BUFFER_BYTES // 1448
        assert 0 <= sender.control.window <= 10_000
        assert sender.control.threshold >= 2


@pytest.mark.parametrize("control", ["cubic", "reno"])
def test_no_connection_starves(control: str) -> None:
    """First in, first out is fair among equals only in the long run; nobody gets nothing."""
    rig = Rig(Cell(20, 30, 20 * MS * 100, control).link())
    applications = [rig.application() for _ in range(8)]
    for application in applications:
        application.write(1 << 30)
    rig.timer.advance(20.0)
    counts = [application.count for application in applications]
    assert sum(counts) * FRAME_BYTES / 1448 >= 0.97 * 20e6 / 8 * 20
    assert min(counts) >= 0.2 * sum(counts) / len(counts)


def test_a_full_queue_delays_the_other_connections() -> None:
    """Bufferbloat: a message waits behind what a transfer has queued, and no longer than that."""
    alone, queue_ms = transfer_s(Cell(10, 20, 1e6), 1000), 200
    rig = Rig(Cell(10, 20, 10 * MS * queue_ms, "reno").link())
    bulk, message = rig.application(), rig.application()
    bulk.write(1 << 30)
    waits = []
    for second in range(2, 12):
        rig.timer.advance(float(second))
        start_s, before = rig.timer.now(), message.count
        message.write(1000)
        rig.run_until(lambda before=before: message.count > before)  # type: ignore[misc]
        waits.append(rig.timer.now() - start_s - alone)
    assert 0.05 <= sum(waits) / len(waits) <= queue_ms / 1e3
    assert max(waits) <= queue_ms / 1e3 + 0.3  # one of them may be dropped and come again


def test_a_shallow_queue_drops_and_a_deep_one_does_not() -> None:
    dropped = {}
    for queue_ms in (10, 2000):
        rig = Rig(Cell(20, 50, 20 * MS * queue_ms).link())
        application = rig.application()
        application.write(2_000_000)
        rig.run_until(lambda application=application: application.count == 2_000_000)  # type: ignore[misc]
        dropped[queue_ms] = application.sender.sender.dropped
    assert dropped[10] > 0
    assert dropped[2000] == 0


def test_slow_start_doubles_the_window_each_round_trip() -> None:
    """Ten segments, then twenty, then forty (RFC 6928, RFC 5681), each a round trip apart."""
    rig = Rig(Cell(1000, 100, 1e7).link())
    application = rig.application()
    application.write(70 * 1448)
    rig.run_until(lambda: application.count == 70 * 1448)
    by_round = [sum(1448 for _ in range(n)) for n in (INITIAL_WINDOW, 30, 70)]
    for number, count in enumerate(by_round):
        at_s = next(at_s for at_s, so_far in application.arrivals if so_far >= count)
        assert at_s == pytest.approx(0.05 + 0.1 * number, abs=0.002)


def test_a_stretched_second_stretches_everything() -> None:
    cell = Cell(20, 50, 60_000, loss=0.01)
    one = transfer_s(cell, 500_000)
    timer = ManualTimer()
    link = cell.link().scaled(3.0)
    pipe = Pipe(link, timer, FidelityMeter(), link)
    log = Log(timer)
    pipe.channel(log).send(bytes(500_000))
    timer.advance(3 * one - 0.05)
    assert len(log.content()) < 500_000
    timer.advance(3 * one + 0.05)
    assert len(log.content()) == 500_000


def test_a_lost_first_packet_comes_again_after_a_second() -> None:
    """A handshake has measured no round trip yet (RFC 6298: one second)."""
    seed = next(s for s in range(100) if RandomLoss(0.5, (s,)).strikes())
    link = Cell(10, 20, 1e6, loss=0.5, seed=(seed,)).link()
    timer = ManualTimer()
    log = Log(timer)
    Pipe(link, timer, FidelityMeter(), link).channel(log, handshake=True).send(lambda: None)
    timer.advance(60.0)
    assert log.times
    assert log.times[0] >= 1.0


def test_losses_are_a_seeds_own() -> None:
    def struck(seed: int) -> list[bool]:
        loss = RandomLoss(0.3, (seed,))
        return [loss.strikes() for _ in range(200)]

    assert struck(1) == struck(1) != struck(2)
    assert 30 <= sum(struck(1)) <= 90
    assert not any(RandomLoss(0.0, (1,)).strikes() for _ in range(100))


def test_a_bottleneck_takes_what_fits() -> None:
    queue = Bottleneck(3000)
    assert [queue.admit(1514, 0.0), queue.admit(1514, 0.0)] == [True, False]
    queue.started(1514, 0.0, 1.0)
    assert queue.backlog_bytes(0.5) == pytest.approx(757)
    assert queue.admit(1514, 0.5)
    assert queue.backlog_bytes(2.0) == 1514
    assert queue.dropped == 1


@pytest.mark.parametrize(
    ("settings_", "rule"),
    [
        ({"queue_bytes": 100}, "queue_bytes"),
        ({"queue_bytes": float("nan")}, "queue_bytes"),
        ({"loss": 1.0}, "loss"),
        ({"loss": -0.1}, "loss"),
        ({"second_s": 0.0}, "second_s"),
        ({"congestion_control": "bbr"}, "congestion_control"),
    ],
)
def test_impossible_senders_are_refused(settings_: dict[str, float], rule: str) -> None:
    known: dict[str, object] = {"congestion_control": "cubic", "queue_bytes": 1e5}
    with pytest.raises(TcpError, match=rule):
        TcpParameters(**(known | settings_))  # type: ignore[arg-type]
