"""How a link's delay wanders: seeded, correlated in time, a function of time alone.

Draws that are independent from chunk to chunk would have to be put back in order, which lengthens
the mean and crushes the spread; a delay that changes smoothly does neither. Here a Gaussian
process (white noise through a critically damped filter, so that it has a slope) is bent to the
distribution asked for. The same seed gives the same delay at the same instant, whatever is sent.
Knows seconds only: no clock, no link.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from netem.impairment import ImpairmentError
from profiles.jitter import SHAPES

Quantile = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From standard normal deviates to those of another distribution, increasing; of any scale."""

_REACH = 3.5
"""Deviates beyond this (one in 4300) are taken as this: every distribution has an end."""
_STEPS = 16
"""Per correlation time; in between it is linear, which costs 0.1 % of the spread."""
_DECAY = 2.1462
"""In correlation times: (1 + x) exp(-x), the correlation left at a distance x, is 1/e here."""
_TAPS = round(12 / _DECAY * _STEPS)
_BLOCK = 512


def _erlang(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gamma of shape 2: distribution function 1 - (1 + x) exp(-x), inverted by bisection."""
    above = np.array([math.erfc(x / math.sqrt(2)) / 2 for x in normal])
    low, high = np.zeros_like(above), np.full_like(above, 60.0)
    for _ in range(60):
        middle = (low + high) / 2
        too_low = (1 + middle) * np.exp(-middle) > above
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return np.asarray((low + high) / 2)


def _pareto(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of shape 4: the heaviest tail whose spread a sample of some thousands can show."""
    above = np.array([math.erfc(x / math.sqrt(2)) / 2 for x in normal])
    return np.asarray(above ** (-1 / 4))


DISTRIBUTIONS: Mapping[str, Quantile] = MappingProxyType(
    {"normal": lambda normal: normal, "gamma": _erlang, "pareto": _pareto}
)


@cache
def _bend(distribution: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Deviates of the distribution by normal ones, of mean 0 and spread 1."""
    normal = np.linspace(-_REACH, _REACH, 1401)
    bent = DISTRIBUTIONS[distribution](normal)
    weights = np.exp(-(normal**2) / 2)
    weights[[0, -1]] = weights.sum() * math.erfc(_REACH / math.sqrt(2)) / 2  # all that is beyond
    weights /= weights.sum()
    bent = bent - np.sum(weights * bent)
    return normal, bent / math.sqrt(np.sum(weights * bent**2))


def least_deviate(distribution: str) -> float:
    """How many spreads below its mean the distribution ends (negative)."""
    return float(_bend(distribution)[1][0])


@dataclass(frozen=True, slots=True)
class Jitter:
    """A `netem.impairment.Variation`: what to add to a delay, of mean 0 and standard deviation
    `spread_s`. After `correlation_s` the correlation has fallen to 1/e."""

    spread_s: float
    correlation_s: float
    distribution: str = "normal"
    seed: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for name, value in (("spread_s", self.spread_s), ("correlation_s", self.correlation_s)):
            if not (math.isfinite(value) and value > 0):
                raise ImpairmentError(f"{name} must be positive and finite, not {value}")
        if self.distribution not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise ImpairmentError(f"distribution must be one of {known}, not {self.distribution}")
        least = SHAPES[self.distribution].least_correlation
        if self.correlation_s < least * self.spread_s:
            raise ImpairmentError(
                f"correlation_s must be at least {least:g} times the spread, or what follows "
                f"would catch up with what went before; not {self.correlation_s}"
            )

    @property
    def least_s(self) -> float:
        """The most it takes off (not above 0): a delay must not be shorter than that."""
        return least_deviate(self.distribution) * self.spread_s

    def scaled(self, time_scale: float) -> "Jitter":
        spread_s, correlation_s = self.spread_s * time_scale, self.correlation_s * time_scale
        return replace(self, spread_s=spread_s, correlation_s=correlation_s)

    def course(self) -> "JitterCourse":
        return JitterCourse(self)


class JitterCourse:
    """The course of a jitter over time. Cheapest when asked in the order of time."""

    def __init__(self, jitter: Jitter) -> None:
        self._jitter = jitter
        self._step_s = jitter.correlation_s / _STEPS
        response = np.arange(1, _TAPS + 1) * np.exp(-np.arange(1, _TAPS + 1) * _DECAY / _STEPS)
        self._kernel = response / math.sqrt(np.sum(response**2))
        seed = [abs(part) for part in jitter.seed]
        self._key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
        self._block = -1 << 40
        self._values: list[float] = []

    def extra_s(self, at_s: float) -> float:
        """What the delay of something sent at `at_s` has beyond its mean."""
        place = at_s / self._step_s
        step = math.floor(place)
        block, index = divmod(step, _BLOCK)
        if block != self._block:
            self._block, self._values = block, self._of_block(block)
        before = self._values[index]
        return before + (self._values[index + 1] - before) * (place - step)

    def _of_block(self, block: int) -> list[float]:
        """One value more than a block has steps: the next one's first."""
        noise = np.concatenate(
            [self._noise(block - 1)[-_TAPS + 1 :], self._noise(block), self._noise(block + 1)[:1]]
        )
        normal = np.convolve(noise, self._kernel, "valid")
        bent: list[float] = (
            np.interp(normal, *_bend(self._jitter.distribution)) * self._jitter.spread_s
        ).tolist()
        return bent

    def _noise(self, block: int) -> NDArray[np.float64]:
        counter = np.array([0, 0, block % 2**64, 0], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=self._key, counter=counter))
        return generator.standard_normal(_BLOCK)
