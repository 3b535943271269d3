"""Makes the shipped synthetic traces: `python -m tools.make_traces FOLDER`. The same every time.

Every figure below is invented to be plausible and easy to read, not measured anywhere.
"""

import random
import sys
from pathlib import Path

from profiles.trace import DeviceTrace, Intervals, Opportunities, Steps, TraceFile
from profiles.trace_writing import write_trace

NOTE = "synthetic: made by tools/make_traces.py, measured nowhere"
MBIT = 1e6 / 8
PERIOD_S = 120.0


def cellular(chance: random.Random, mean_mbit_s: float, fades: int) -> Steps:
    """A rate that wanders around its mean from second to second, with outages of 1 to 3 s."""
    rates, level = list[float](), 1.0
    for _ in range(int(PERIOD_S)):
        level = min(2.0, max(0.2, level + chance.gauss(0.12 * (1 - level), 0.2)))
        rates.append(round(mean_mbit_s * level, 2) * MBIT)
    for _ in range(fades):
        start = chance.randrange(5, int(PERIOD_S) - 5)
        for second in range(start, start + chance.randint(1, 3)):
            rates[second] = 0.0
    times = [float(second) for second in range(len(rates))]
    return Steps(tuple(times), tuple(rates), PERIOD_S)


def delays(chance: random.Random, least_ms: int, most_ms: int, end_s: float) -> Steps:
    times = tuple(float(second) for second in range(0, int(end_s), 4))
    return Steps(times, tuple(chance.randint(least_ms, most_ms) / 1000 for _ in times), end_s)


def lte(chance: random.Random) -> Opportunities:
    """Opportunities in bursts of some milliseconds, as a scheduler gives them: about 8 Mbit/s."""
    times, at_ms = list[int](), 0
    while at_ms < 20_000:
        burst = chance.randint(2, 12)
        times += sorted(at_ms + chance.randrange(6) for _ in range(burst))
        at_ms += chance.randint(6, 16)
    return Opportunities(tuple(times), 20.1)


def driving(chance: random.Random) -> TraceFile:
    down, up = cellular(chance, 12.0, 3), cellular(chance, 4.0, 3)
    way = delays(chance, 15, 60, down.end_s), delays(chance, 15, 60, up.end_s)
    device = DeviceTrace("phone", PERIOD_S, up, down, *way)
    return TraceFile("A phone in a moving car", (NOTE,), (device,))


def busy_phone(chance: random.Random) -> TraceFile:
    """Pace falls while its owner uses the phone, and as it grows hot."""
    times, paces, at_s = list[float](), list[float](), 0.0
    while at_s < PERIOD_S - 8:
        times.append(at_s)
        paces.append(chance.choice([1.0, 1.0, 0.8, 0.5, 0.35]))
        at_s += chance.randint(4, 12)
    device = DeviceTrace("phone", PERIOD_S, pace=Steps(tuple(times), tuple(paces), PERIOD_S))
    return TraceFile("A phone in use", (NOTE,), (device,))


def comes_and_goes(chance: random.Random) -> TraceFile:
    devices = []
    for name in ("a", "b"):
        spans, at_s = list[tuple[float, float]](), 0.0
        while at_s < PERIOD_S - 20:
            there_s, away_s = chance.randint(18, 30), chance.randint(4, 9)
            spans.append((at_s, min(PERIOD_S, at_s + there_s)))
            at_s += there_s + away_s
        devices.append(DeviceTrace(name, PERIOD_S, available=Intervals(tuple(spans), PERIOD_S)))
    return TraceFile("Devices that come and go", (NOTE,), tuple(devices))


def bursts(chance: random.Random) -> TraceFile:
    rate = lte(chance)
    return TraceFile(
        "Bursts of a cellular scheduler", (NOTE,), (DeviceTrace("phone", rate.end_s, down=rate),)
    )


TRACES = {
    "driving": driving,
    "busy-phone": busy_phone,
    "comes-and-goes": comes_and_goes,
    "lte-bursts": bursts,
}


def main(folder: Path) -> None:
    for name, make in TRACES.items():
        write_trace(folder / f"{name}.trace", make(random.Random(name)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
