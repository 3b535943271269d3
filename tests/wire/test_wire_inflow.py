"""Bodies straight into memory: whole, in pieces, abandoned, broken off."""

import asyncio

import pytest

from wire.inflow import RECEIVE_BYTES, Inflow


class Owner(asyncio.Protocol):
    def __init__(self) -> None:
        self.told: list[object] = []

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Wire(asyncio.Transport):
    """A transport that hands over what the test says."""

    def __init__(self, owner: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.protocol = owner

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def bring(self, data: bytes) -> int:
        """How much of it was taken in one go."""
        assert isinstance(self.protocol, asyncio.BufferedProtocol)
        buffer = memoryview(self.protocol.get_buffer(-1))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        self.protocol.buffer_updated(size)
        return size


class Memory:
    def __init__(self, size: int) -> None:
        self.bytes = bytearray(size)
        self.at = 0

    def room(self) -> memoryview:
        return memoryview(self.bytes)[self.at :]

    def filled(self, size: int) -> None:
        self.at += size


class Rig:
    def __init__(self, size: int) -> None:
        self.owner, self.memory = Owner(), Memory(size + 5)
        self.wire = Wire(self.owner)
        self.ended: list[bool] = []
        self.inflow = Inflow(self.wire, self.memory, size, lambda: self.ended.append(True))


async def test_bytes_land_in_place_and_the_owner_gets_its_connection_back() -> None:
    rig = Rig(10)
    waiting = asyncio.create_task(rig.inflow.whole())
    await asyncio.sleep(0)
    assert rig.wire.bring(b"abcd") == 4
    assert (rig.ended, rig.wire.protocol) == ([], rig.inflow)
    assert rig.wire.bring(b"efghijKL") == 6  # what follows is the owner's
    assert (rig.ended, rig.wire.protocol) == ([True], rig.owner)
    await waiting
    assert bytes(rig.memory.bytes) == b"abcdefghij" + bytes(5)


async def test_all_there_before_anybody_waits() -> None:
    rig = Rig(3)
    rig.wire.bring(b"xyz")
    await rig.inflow.whole(0.0)
    assert rig.memory.at == 3


async def test_no_more_than_so_much_at_a_time() -> None:
    rig = Rig(RECEIVE_BYTES + 1)
    assert rig.wire.bring(bytes(2 * RECEIVE_BYTES)) == RECEIVE_BYTES
    assert rig.wire.bring(bytes(2)) == 1


async def test_what_stalls_is_given_up_and_its_rest_is_dropped() -> None:
    rig = Rig(6)
    waiting = asyncio.create_task(rig.inflow.whole(0.02))
    rig.wire.bring(b"ab")
    with pytest.raises(TimeoutError):
        await waiting
    rig.wire.bring(b"cdef")
    assert (rig.memory.at, rig.ended, rig.wire.protocol) == (2, [True], rig.owner)
    assert bytes(rig.memory.bytes[2:]) == bytes(9)


async def test_a_connection_that_ends_early() -> None:
    rig = Rig(6)
    rig.inflow.eof_received()
    error = OSError("gone")
    rig.inflow.connection_lost(error)
    assert rig.owner.told == [error]
    with pytest.raises(ConnectionResetError):
        await rig.inflow.whole(1.0)


async def test_the_owner_hears_of_everything_else() -> None:
    rig = Rig(1)
    rig.inflow.pause_writing()
    rig.inflow.resume_writing()
    rig.wire.bring(b"x")
    rig.inflow.connection_lost(None)
    assert rig.owner.told == ["pause", "resume", None]
