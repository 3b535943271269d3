"""FLASH's speed_distri.json: mean and spread of a device's speeds, normally distributed.

A rate is drawn for every step of a stated length, seeded by the device; draws below a twentieth
of the mean are drawn again, since a normal distribution has speeds below zero and links have not.
"""

import random

from profiles.formats.options import ImportOptions, merged
from profiles.formats.source import Source
from profiles.trace import DeviceTrace, Steps

_UNITS = {"kbit/s": 1e3 / 8, "kB/s": 1e3}
_LEAST = 0.05
_TRIES = 1000


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    devices = source.chosen(source.table("", source.json()), options.device)
    return tuple(_device(source, name, raw, options) for name, raw in devices.items())


def _device(source: Source, name: str, raw: object, options: ImportOptions) -> DeviceTrace:
    place = f"device {name}"
    table = source.table(place, raw)
    down, up = (_drawn(source, (place, way), table, options) for way in ("down", "up"))
    return DeviceTrace(name, options.duration_s, up, down)


def _drawn(source: Source, where: tuple[str, str], table: object, options: ImportOptions) -> Steps:
    place, way = where
    unit = _UNITS[options.speed_unit]
    mean, sigma = (
        source.number(f"{place}: {key}", source.entry(place, source.table(place, table), key))
        for key in (f"{way}_u", f"{way}_sigma")
    )
    if not mean:
        raise source.error(f"{place}: {way}_u", "must be above 0")
    source.rate(f"{place}: {way}_u", (mean + 6 * sigma) * unit)
    chance = random.Random(f"{options.seed} {place} {way}")
    times: list[float] = []
    while len(times) * options.step_s < options.duration_s:
        times.append(len(times) * options.step_s)
    rates = [_above(chance, mean, sigma) * unit for _ in times]
    return merged(times, rates, options.duration_s)


def _above(chance: random.Random, mean: float, sigma: float) -> float:
    for _ in range(_TRIES):
        if (drawn := chance.gauss(mean, sigma)) >= _LEAST * mean:
            return drawn
    return mean  # a spread of more than a thousand means
