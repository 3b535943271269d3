"""What a reader may be told about a file that the file does not say itself."""

from dataclasses import dataclass
from enum import StrEnum

from profiles.trace import DeviceTrace, Rate, Steps


class Direction(StrEnum):
    """Which way the rates of a file of one direction go."""

    DOWN = "down"
    UP = "up"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    device: str | None = None
    """Of a file of many: this one only."""
    direction: Direction = Direction.DOWN
    training_factor: float = 3.0
    """Training time as a multiple of inference time. FedScale's cost model takes 3; measured on a
    phone (MI 9, MNN, batch 16) it is 3.5 to 5.6 for LeNet and 6.8 to 16.8 for larger models."""
    reference_ms: float | None = None
    """Training time of a sample, in ms, on the device that the profile describes: pace 1."""
    speed_unit: str = "kbit/s"
    """Of FLASH's speeds, whose source leaves open whether they are kbit/s or kB/s."""
    seed: int = 0
    step_s: float = 10.0
    duration_s: float = 600.0


def one_way(device: str, rate: Rate, options: ImportOptions) -> DeviceTrace:
    """The trace of a link whose file has one rate."""
    up = rate if options.direction is not Direction.DOWN else None
    down = rate if options.direction is not Direction.UP else None
    return DeviceTrace(device, rate.end_s, up=up, down=down)


def merged(at_s: list[float], values: list[float], end_s: float) -> Steps:
    """Steps from their parts, equal neighbours made one."""
    times, kept = [at_s[0]], [values[0]]
    for time_s, value in zip(at_s[1:], values[1:], strict=True):
        if value != kept[-1]:
            times.append(time_s)
            kept.append(value)
    return Steps(tuple(times), tuple(kept), end_s)
