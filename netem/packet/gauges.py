"""Bytes that have passed each device's links, and how late they were, in memory shared between the
process that counts them and the one that asks, so that asking costs nothing and disturbs nobody.
Knows no packet.
"""

import mmap
import os

_WORDS = 3
_WORD_BYTES = 8


class Gauges:
    """Three counters a device: wire bytes up and down, and nanoseconds for which it was held up.
    One process writes, another reads."""

    def __init__(self, descriptor: int, devices: int) -> None:
        """Takes over the descriptor."""
        self._memory = mmap.mmap(descriptor, _size(devices))
        self._words = memoryview(self._memory).cast("q")
        os.close(descriptor)

    def add(self, word: int, amount: int) -> None:
        self._words[word] += amount

    def passed(self, device: int) -> tuple[int, int]:
        """Wire bytes up and down so far."""
        up = up_word(device)
        return self._words[up], self._words[up + 1]

    def late_s(self, device: int) -> float:
        """See FidelityMeter.held_up."""
        return self._words[late_word(device)] / 1e9

    def close(self) -> None:
        self._words.release()
        self._memory.close()


class InterfaceGauges:
    """What the kernel counts at the hub's ends of the links, in /proc/net/dev of the hub's
    namespace: received there is up, sent is down."""

    def __init__(self, descriptor: int) -> None:
        """Takes over the descriptor."""
        self._descriptor = descriptor

    def passed(self, device: int) -> tuple[int, int]:
        """Wire bytes up and down so far."""
        for line in self._lines():
            name, _, figures = line.partition(":")
            if name.strip() == f"device{device}":
                received, sent = figures.split()[0], figures.split()[8]
                return int(received), int(sent)
        return 0, 0

    def late_s(self, device: int) -> float:
        """The kernel does not say."""
        return 0.0

    def close(self) -> None:
        os.close(self._descriptor)

    def _lines(self) -> list[str]:
        text, piece = b"", b"-"
        while piece:
            piece = os.pread(self._descriptor, 65536, len(text))
            text += piece
        return text.decode().splitlines()


def up_word(device: int) -> int:
    """Where a device's bytes up are counted; those down come next."""
    return _WORDS * device


def late_word(device: int) -> int:
    return up_word(device) + 2


def shared_memory(devices: int) -> int:
    """A descriptor of zeroed memory for so many devices, which nothing in the system names."""
    descriptor = os.memfd_create("gauges")
    os.ftruncate(descriptor, _size(devices))
    return descriptor


def _size(devices: int) -> int:
    return max(1, devices) * _WORDS * _WORD_BYTES
