"""What the emulator says about its own error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.channel import Piece, Signal
from netem.fidelity import BusyPeriod, FidelityMeter
from netem.histogram import LogHistogram
from netem.link import LinkParameters, wire_bytes
from netem.pipe import Pipe
from netem.timer import ManualTimer


@given(st.lists(st.floats(1e-6, 1e2), min_size=1, max_size=200), st.floats(0.01, 1))
def test_quantiles_err_to_the_bad_side_by_at_most_six_per_cent(
    values: list[float], share: float
) -> None:
    histogram = LogHistogram(1e-6)
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(0, -(-int(share * len(values) * 1e9) // 10**9) - 1)]
    found = histogram.quantile(share)
    assert found is not None
    assert exact * (1 - 1e-9) <= found * 1.06
    assert found <= max(values)
    assert histogram.maximum == max(values)
    assert len(histogram) == len(values)


def test_quantiles_of_known_values() -> None:
    histogram = LogHistogram(1e-6)
    for milliseconds in range(1, 1001):
        histogram.add(milliseconds / 1e3)
    assert histogram.quantile(0.5) == pytest.approx(0.5, rel=0.06)
    assert histogram.quantile(0.99) == pytest.approx(0.99, rel=0.06)
    assert histogram.quantile(1.0) == 1.0


def test_nothing_counted_is_none() -> None:
    histogram = LogHistogram(1e-6)
    assert histogram.quantile(0.5) is None
    assert histogram.maximum is None
    measured = FidelityMeter().measured()
    assert measured.lateness_ms_p50 is None
    assert measured.rate_error_p50 is None


def test_values_beyond_the_ceiling_keep_their_maximum() -> None:
    histogram = LogHistogram(1.0)
    histogram.add(1e12)
    histogram.add(0.0)
    assert histogram.quantile(1.0) == 1e12
    assert histogram.quantile(0.5) == 1.0


def test_only_alike_histograms_merge() -> None:
    with pytest.raises(ValueError, match="floors"):
        LogHistogram(1.0).merge([LogHistogram(2.0)])


def test_meters_of_a_fleet_merge() -> None:
    meters = [FidelityMeter() for _ in range(3)]
    for index, meter in enumerate(meters):
        meter.released(index * 1e-3)
        meter.computed(index * 0.1)
    meters[0].busy(0.99, 1.0)
    measured = FidelityMeter.merged(meters).measured()
    assert measured.lateness_ms_max == 2.0
    assert measured.late_jobs == 2
    assert measured.overrun_s == pytest.approx(0.3)
    assert measured.rate_error_max == pytest.approx(0.01)


def test_who_is_held_up_by_what() -> None:
    """Neither single releases nor overruns do by themselves: whoever knows who waits says so."""
    meter = FidelityMeter()
    meter.released(0.5)
    meter.computed(0.0)
    assert meter.late_s == 0.0
    meter.computed(0.2)
    assert meter.late_s == 0.0
    meter.held_up(0.2)
    meter.held_up(0.1)
    meter.held_up(-0.1)
    meter.restart()
    assert meter.late_s == pytest.approx(0.3), "a sum of which phases take differences"


@pytest.mark.parametrize("late_s", [0.0, 0.0001, 0.004])
def test_a_stretch_holds_up_by_the_lateness_of_its_end(late_s: float) -> None:
    timer, meter = ManualTimer(), FidelityMeter()
    pipe = Pipe(LinkParameters(1.5e6, 0.02), timer, meter)
    for count in (1, 2, 3):
        Feeder(pipe, 300_000)
        timer.advance(timer.now() + 1.0, late_s)
        assert meter.late_s == pytest.approx(count * late_s, abs=1e-6)


def test_a_busy_period_is_measured_between_its_first_and_last_release() -> None:
    meter = FidelityMeter()
    busy = BusyPeriod(meter)
    busy.released(10.0, 10.0, continues=False)
    for step in range(1, 11):
        busy.released(10 + step / 10, 10 + step / 10 * 1.01, continues=True)
    assert meter.measured().rate_error_max is None, "not over yet"
    busy.released(20.0, 20.0, continues=False)
    assert meter.measured().rate_error_max == pytest.approx(0.01, rel=0.02)


def test_a_busy_period_that_makes_up_for_its_late_beginning_has_no_error() -> None:
    meter = FidelityMeter()
    busy = BusyPeriod(meter)
    busy.released(10.0, 10.2, continues=False)
    busy.released(11.5, 11.5, continues=True)
    busy.close()
    assert meter.measured().rate_error_max == 0.0


def test_stretches_count_by_their_length() -> None:
    meters = [FidelityMeter(), FidelityMeter()]
    for asked_s, taken_s in ((1.0, 1.1), (8.9, 8.9)):
        meters[0].busy(asked_s, taken_s)
    assert meters[0].measured().rate_error == pytest.approx(0.01)
    meters[1].add_links(meters[0].links_to_mapping())
    meters[1].busy(10.0, 9.0)
    assert meters[1].measured().rate_error == pytest.approx(0.005)
    assert FidelityMeter.merged(meters).measured().rate_error == pytest.approx(0.2 / 30)
    assert FidelityMeter().measured().rate_error is None


def test_a_delay_that_is_meant_to_change_is_no_error_of_the_rate() -> None:
    meter = FidelityMeter()
    busy = BusyPeriod(meter)
    for due_s in (0.0, 0.2, 0.25, 1.9):
        busy.released(due_s, due_s + 0.001, continues=due_s > 0)
    busy.close()
    assert meter.measured().rate_error_max == pytest.approx(0.0, abs=1e-9)


def test_short_busy_periods_do_not_count() -> None:
    meter = FidelityMeter()
    busy = BusyPeriod(meter)
    busy.released(0.0, 0.0, continues=False)
    busy.released(0.2, 0.3, continues=True)
    busy.close()
    busy.close()
    assert meter.measured().rate_error_max is None


class Feeder:
    """Keeps a pipe's channel filled, as an application under backpressure does."""

    def __init__(self, pipe: Pipe, total: int) -> None:
        self.left = total
        self.channel = pipe.channel(self)
        self.limit_bytes = pipe.queue_limit_bytes
        self.sent()

    def sent(self) -> None:
        if self.channel.queued_bytes <= self.limit_bytes // 2:
            self.channel.blocked = False
            while self.left and not self.channel.blocked:
                size = min(self.left, 16_384)
                self.left -= size
                self.channel.send(bytes(size))
                self.channel.blocked = self.channel.queued_bytes > self.limit_bytes

    def arrived(self, items: list[Piece | Signal]) -> None:
        pass


@pytest.mark.parametrize("late_s", [0.0, 0.003, 0.1])
def test_lateness_beyond_the_queue_costs_no_throughput(late_s: float) -> None:
    """100 ms late on every wake-up, the queue of 64 KiB (44 ms here) runs dry again and again;
    the sender, told late, is served as if told in time. The lateness itself is on record."""
    timer, meter = ManualTimer(), FidelityMeter()
    pipe = Pipe(LinkParameters(1.5e6, 0.02), timer, meter)
    Feeder(pipe, 1_500_000)
    timer.advance(wire_bytes(1_500_000) / 1.5e6 + 0.02 + 2 * late_s + 1e-6, late_s)
    assert pipe.passed.payload == 1_500_000
    pipe.close()
    measured = meter.measured()
    assert measured.rate_error_max is not None
    assert measured.rate_error_max <= 0.005 + late_s
    assert measured.lateness_ms_max is not None
    assert measured.lateness_ms_max >= late_s * 1e3


def test_a_sender_that_is_slow_itself_gets_no_credit() -> None:
    """It lets the wire fall idle and writes again much later: nothing starts in the past."""
    timer = ManualTimer()
    pipe = Pipe(LinkParameters(1.5e6, 0.02), timer, FidelityMeter())
    feeder = Feeder(pipe, 100_000)
    timer.advance(10.0, late_s=0.1)
    feeder.left = 100_000
    feeder.sent()
    timer.advance(10.0 + wire_bytes(100_000) / 1.5e6 + 0.02 - 1e-6)
    assert pipe.passed.payload < 200_000
    timer.advance(10.2)
    assert pipe.passed.payload == 200_000


def test_credit_for_lateness_ends_when_it_is_made_up_for() -> None:
    timer = ManualTimer()
    pipe = Pipe(LinkParameters(1.5e6, 0.0), timer, FidelityMeter())
    feeder = Feeder(pipe, 150_000)
    timer.advance(0.4, late_s=0.1)
    assert pipe.passed.payload == 150_000
    feeder.channel.send(bytes(60_000))
    timer.advance(0.45)
    assert pipe.passed.payload == 210_000
    feeder.channel.send(bytes(14_480))  # the wire has been idle for some ms by now
    timer.advance(0.45 + wire_bytes(14_480) / 1.5e6 - 1e-6)
    assert pipe.passed.payload < 224_480
    timer.advance(0.47)
    assert pipe.passed.payload == 224_480


def test_a_stall_of_the_host_costs_no_throughput_though_nobody_was_told_to_wait() -> None:
    """The whole process stands still for 80 ms while its sender, unpaused, was about to write."""
    timer = ManualTimer()
    pipe = Pipe(LinkParameters(1.5e6, 0.02), timer, FidelityMeter())
    feeder = Feeder(pipe, 30_000)
    timer.advance(0.01)
    timer.advance(0.1, late_s=0.08)
    feeder.left = 30_000
    feeder.sent()
    timer.advance(wire_bytes(60_000) / 1.5e6 + 0.021 + 0.08)
    assert pipe.passed.payload == 60_000
    assert pipe.wire_free_s == pytest.approx(wire_bytes(60_000) / 1.5e6, rel=0.01)
