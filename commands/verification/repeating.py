"""What lies outside its bound at first is measured twice again and judged by the middle one of the
three: a host that stands still for a moment spoils one, a link that is wrong all of them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from commands.verification.figure import Pair

T = TypeVar("T")
AGAIN = 2


class Repeats:
    """As long as there is time left for them; what comes later is judged as it is."""

    def __init__(self, left_s: float, clock: Callable[[], float]) -> None:
        self._left_s, self._clock = left_s, clock

    async def judged(
        self, measure: Callable[[], Awaitable[T]], off: Callable[[T], float]
    ) -> tuple[T, tuple[T, ...]]:
        """What to judge, and all that was measured, once or three times. `off`: how far off, as
        a multiple of the bound. The middle one is the middle by that, so that two of three must lie
        within the bound, whichever way they err."""
        begin_s = self._clock()
        first = await measure()
        taken_s = self._clock() - begin_s
        if off(first) <= 1 or AGAIN * taken_s > self._left_s:
            return first, (first,)
        tried = (first, *[await measure() for _ in range(AGAIN)])
        self._left_s -= self._clock() - begin_s - taken_s
        return sorted(tried, key=off)[len(tried) // 2], tried

    async def pair(
        self, measure: Callable[[], Awaitable[Pair]], off: Callable[[Pair], float]
    ) -> Pair:
        chosen, tried = await self.judged(measure, off)
        return replace(chosen, tried=tuple(one.delivered for one in tried))
