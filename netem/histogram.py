"""A distribution in fixed memory: counts in logarithmic bins. Knows no unit."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

_BINS_PER_DECADE = 40  # neighbouring bins differ by 5.9 %: the resolution of a percentile
_DECADES = 9
_BINS = _BINS_PER_DECADE * _DECADES + 2  # one below the floor, one above the ceiling


class LogHistogram:
    """Counts values >= 0 between `floor` and `floor` * 10**9; beyond, only the maximum is exact."""

    __slots__ = ("_counts", "_floor", "_maximum", "_total")

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._counts = [0] * _BINS
        self._total = 0
        self._maximum = 0.0

    def __len__(self) -> int:
        return self._total

    def add(self, value: float) -> None:
        if value <= self._floor:
            index = 0
        else:
            index = min(_BINS - 1, 1 + int(_BINS_PER_DECADE * math.log10(value / self._floor)))
        self._counts[index] += 1
        self._total += 1
        if value > self._maximum:
            self._maximum = value

    def merge(self, others: Iterable["LogHistogram"]) -> None:
        for other in others:
            if other._floor != self._floor:
                raise ValueError("histograms of different floors cannot be merged")
            self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
            self._total += other._total
            self._maximum = max(self._maximum, other._maximum)

    def to_mapping(self) -> dict[str, Any]:
        """What was counted, for `add_mapping` of one in another process."""
        bins = [[index, count] for index, count in enumerate(self._counts) if count]
        return {"bins": bins, "maximum": self._maximum}

    def add_mapping(self, counted: Mapping[str, Any]) -> None:
        for index, count in counted["bins"]:
            self._counts[index] += count
            self._total += count
        self._maximum = max(self._maximum, counted["maximum"])

    def counts(self) -> list[tuple[float, int]]:
        """(upper edge, count) of each bin that is not empty, ascending: for merging elsewhere."""
        return [
            (self._floor * 10 ** (index / _BINS_PER_DECADE), count)
            for index, count in enumerate(self._counts)
            if count
        ]

    @property
    def maximum(self) -> float | None:
        return self._maximum if self._total else None

    def quantile(self, share: float) -> float | None:
        """The upper edge of the bin in which the quantile lies, never above the maximum: it errs
        to the bad side, by at most 5.9 %. None while nothing was counted."""
        if not self._total:
            return None
        rank, seen = math.ceil(share * self._total), 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank and count:
                edge = self._floor * 10 ** (index / _BINS_PER_DECADE)
                return self._maximum if index == _BINS - 1 else min(edge, self._maximum)
        return self._maximum
