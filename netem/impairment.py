"""What may be done to a link's delay over time: the seam between a link and its impairments.

Adding one is writing a class with these three members in a file of its own.
"""

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
