"""What may be done to a link's delay over time: the seam between a link and its impairments.

Adding one is writing a class with these three members in a file of its own.
"""

import math
from typing import Protocol


class ImpairmentError(ValueError):
    """An impairment that cannot be."""


class Course(Protocol):
    """A variation as it goes on; asked once for each load, in the order of time."""

    def extra_s(self, at_s: float) -> float:
        """What to add to the delay of something sent at `at_s`, seconds since the link began."""
        ...


class Variation(Protocol):
    """A delay that changes with time: a plain value, which a link makes into a course."""

    @property
    def least_s(self) -> float:
        """The most it ever takes off a delay (not above 0)."""
        ...

    def scaled(self, time_scale: float) -> "Variation":
        """The same with every emulated second stretched."""
        ...

    def course(self) -> Course: ...


class Delay:
    """One link's delay as it goes on: asked in the order in which things are sent."""

    def __init__(self, delay_s: float, variation: Variation | None, begin_s: float) -> None:
        """What changes with time is counted from `begin_s`."""
        self._delay_s = delay_s
        self._begin_s = begin_s
        self._course = None if variation is None else variation.course()
        self._last_due_s = -math.inf

    def due_s(self, sent_s: float) -> float:
        """When what was sent then arrives: after its delay, and not before what went before."""
        due_s = sent_s + self._delay_s
        if self._course is not None and due_s < math.inf:
            due_s += self._course.extra_s(sent_s - self._begin_s)
            self._last_due_s = due_s = max(due_s, self._last_due_s)
        return due_s
