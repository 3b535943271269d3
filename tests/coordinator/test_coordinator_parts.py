"""The coordinator's small parts on their own: gathering, registry, spooling."""

import asyncio
import io
import tempfile
import zlib
from contextlib import ExitStack

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.gathering import Gathering
from coordinator.registry import FleetFull, Registry
from coordinator.status import Transfer
from coordinator.uploads import SpoolRoom, Upload, UploadRejected
from protocol.checksum import UploadChecksum
from protocol.messages import RoundEnd
from tests.coordinator.rawclient import until

LIMIT_S = 30.0


# --- gathering

STEPS = st.lists(st.tuples(st.sampled_from(["answer", "lose"]), st.integers(0, 5)))


@settings(max_examples=200)
@given(st.sets(st.integers(0, 5)), STEPS)
def test_each_client_is_awaited_answered_or_lost(
    expected: set[int], steps: list[tuple[str, int]]
) -> None:
    gathering: Gathering[str] = Gathering(expected)
    for step, client in steps:
        was_awaited = gathering.awaits(client)
        if step == "answer" and was_awaited:
            gathering.answer(client, f"of {client}")
        elif step == "lose":
            gathering.lose(client, "gone")
        parts = [gathering.awaited, gathering.answers.keys(), gathering.lost.keys()]
        assert set().union(*parts) == expected
        assert sum(map(len, parts)) == len(expected)
        assert gathering._complete.is_set() == (not gathering.awaited)
    assert all(value == f"of {client}" for client, value in gathering.answers.items())


async def test_a_gathering_ends_with_its_last_client() -> None:
    gathering: Gathering[int] = Gathering([1, 2, 3])
    waiting = asyncio.create_task(gathering.wait(LIMIT_S))
    gathering.answer(1, 10)
    gathering.lose(2, "gone")
    gathering.lose(9, "was never expected")
    await asyncio.sleep(0)
    assert not waiting.done()
    gathering.answer(3, 30)
    await waiting
    assert (gathering.answers, gathering.lost) == ({1: 10, 3: 30}, {2: "gone"})
    gathering.lose(1, "has answered already")
    assert gathering.lost == {2: "gone"}


async def test_whoever_is_silent_at_the_limit_is_lost() -> None:
    gathering: Gathering[int] = Gathering([1, 2])
    gathering.answer(2, 20)
    await gathering.wait(0.01)
    assert gathering.lost == {1: "no answer within 0.01 s"}


async def test_whoever_makes_progress_at_the_limit_is_waited_for() -> None:
    gathering: Gathering[int] = Gathering([1, 2, 3])
    waiting = asyncio.create_task(gathering.wait(0.01, exempt={1, 3}))
    await until(lambda: bool(gathering.lost))
    async with asyncio.timeout(LIMIT_S):
        assert gathering.lost.keys() == {2}
        gathering.lose(3, "its transfer stalled")
        assert not waiting.done()
        gathering.answer(1, 10)
        await waiting
    assert gathering.answers == {1: 10}


async def test_enough_is_enough() -> None:
    gathering: Gathering[int] = Gathering([1, 2])
    gathering.answer(1, 10)
    gathering.finish()
    await gathering.wait(LIMIT_S)
    assert (gathering.lost, gathering.spared, gathering.awaited) == ({}, {2}, set())


async def test_nobody_to_wait_for() -> None:
    gathering: Gathering[int] = Gathering(())
    await gathering.wait(LIMIT_S)
    assert gathering.answers == {}


async def test_enough_answers_are_not_all() -> None:
    gathering: Gathering[str] = Gathering([1, 2, 3])
    reaching = asyncio.create_task(gathering.reach(2))
    gathering.answer(1, "a")
    gathering.lose(3, "gone")
    await asyncio.sleep(0)
    assert not reaching.done()
    gathering.answer(2, "b")
    await reaching
    assert gathering.answers == {1: "a", 2: "b"}


async def test_more_answers_than_can_come_are_not_waited_for() -> None:
    gathering: Gathering[str] = Gathering([1, 2])
    reaching = asyncio.create_task(gathering.reach(2))
    gathering.lose(2, "gone")
    gathering.answer(1, "a")
    await reaching
    assert gathering.lost == {2: "gone"}


# --- registry


def identity(number: int) -> bytes:
    return bytes([number]) * 32


@settings(max_examples=200)
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 7), st.none() | st.integers(0, 6)), max_size=20),
)
def test_one_identity_a_place(size: int, joining: list[tuple[int, int | None]]) -> None:
    registry, places = Registry(size), dict[int, int]()
    for number, member in joining:
        try:
            client, back = registry.admit(identity(number), "phone", member)
        except FleetFull:
            assert number not in places
            taken = set(places.values())
            assert len(taken) == size if member is None else member in taken or member >= size
        else:
            assert back == (number in places)
            assert places.setdefault(number, client.id) == client.id
            assert 0 <= client.id < size
            assert back or member in (None, client.id)
    assert len(set(places.values())) == len(places)
    assert [client.id for client in registry] == sorted(places.values())
    assert registry.missing() == list(range(size))  # nobody has a connection


def test_a_credential_is_one_clients_and_kept() -> None:
    registry = Registry(3)
    first, _ = registry.admit(identity(1), "phone", None)
    second, _ = registry.admit(identity(2), "phone", None)
    assert registry.authenticate(first.credential) is first
    assert registry.authenticate(second.credential) is second
    assert registry.admit(identity(1), "phone", 2) == (first, True)
    assert first.secret != second.secret
    assert first.secret not in repr(first)
    for wrong in ("", ".", "0.", f"1.{first.secret}", f"00000000000.{first.secret}", first.secret):
        assert registry.authenticate(wrong) is None


async def test_a_client_without_a_connection_hears_nothing() -> None:
    client, _ = Registry(1).admit(identity(1), "phone", None)
    assert not client.present
    assert not await client.send(RoundEnd(1))


# --- spooling


async def spooled(size: int, body: bytes, encoding: str | None = None) -> tuple[str, int]:
    """What becomes of a body at a server that inflates what is deflated: content or reason."""
    ended: list[tuple[str, int]] = []

    async def handler(request: web.Request) -> web.Response:
        progress = Transfer(9, size)
        try:
            upload = Upload(request, UploadChecksum("1.secret", (1, 1)), progress, LIMIT_S)
            upload.check_length()
            with SpoolRoom(size, memory_bytes=0).place() as spool:
                await upload.receive(spool)
                with spool.whole() as view:
                    ended.append((view[:size].hex(), progress.done_bytes))
        except UploadRejected as rejection:
            ended.append((str(rejection), progress.done_bytes))
        return web.Response()

    app = web.Application()
    app.router.add_put("/", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    headers = {"Content-Encoding": encoding} if encoding else {}
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with aiohttp.ClientSession() as session, asyncio.timeout(LIMIT_S):
        await session.put(url, data=body, headers=headers)
    await runner.cleanup()
    return ended[0]


VECTOR = bytes(range(200)) * 50


def checked(vector: bytes) -> bytes:
    checksum = UploadChecksum("1.secret", (1, 1))
    checksum.update(vector)
    return vector + checksum.digest()


async def test_a_vector_is_spooled_to_the_byte() -> None:
    assert await spooled(len(VECTOR), checked(VECTOR)) == (VECTOR.hex(), len(VECTOR))


async def test_a_connection_is_used_again_after_a_body_that_its_parser_never_saw() -> None:
    """Fails should aiohttp keep its parser elsewhere."""
    vector, ports = bytes(3_000_000), set()

    def body() -> io.BytesIO:
        return io.BytesIO(checked(vector))

    async def handler(request: web.Request) -> web.Response:
        ports.add(request.transport and request.transport.get_extra_info("peername"))
        upload = Upload(
            request, UploadChecksum("1.secret", (1, 1)), Transfer(0, len(vector)), LIMIT_S
        )
        with SpoolRoom(len(vector), 2**30).place() as spool:
            await upload.receive(spool)
        return web.Response(text=request.query["n"])

    app = web.Application()
    app.router.add_put("/", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with aiohttp.ClientSession() as session, asyncio.timeout(LIMIT_S):
        for number in "123":
            async with session.put(url, params={"n": number}, data=body()) as response:
                assert (response.status, await response.text()) == (200, number)
    await runner.cleanup()
    assert len(ports) == 1


@pytest.mark.parametrize("size", [0, 9_999, 10_001, 2**40])
async def test_another_length_is_rejected_before_anything_is_read(size: int) -> None:
    body = checked(VECTOR)
    reason, done = await spooled(size, body)
    assert reason == f"declares {len(body)} bytes, not {size + 16}"
    assert done == 9  # nothing has begun


async def test_a_body_that_swells_is_rejected() -> None:
    body = zlib.compress(bytes(5_000_000))
    assert await spooled(len(body) - 16, body, "deflate") == ("is encoded", 9)


@pytest.mark.parametrize("memory_bytes", [0, 60, 1000])
def test_vectors_under_way_share_no_room(memory_bytes: int) -> None:
    room = SpoolRoom(10, memory_bytes)
    with ExitStack() as stack:
        spools = [stack.enter_context(room.place()) for _ in range(5)]
        for number, spool in enumerate(spools):
            for size in (20, 6):
                spool.room()[:size] = bytes([number]) * size
                spool.filled(size)
        views = [stack.enter_context(spool.whole()) for spool in spools]
        assert [bytes(view) for view in views] == [bytes([n]) * 26 for n in range(5)]


def test_room_in_memory_is_bounded_and_used_again() -> None:
    room = SpoolRoom(10, 2 * (10 + 16) + 5)

    def kinds() -> list[str]:
        with ExitStack() as stack:
            spools = [stack.enter_context(room.place()) for _ in range(3)]
            views = [stack.enter_context(spool.whole()) for spool in spools[:2]]
            buffers.update(id(view.obj) for view in views)
            return [type(spool).__name__ for spool in spools]

    buffers: set[int] = set()
    for _ in range(3):
        assert kinds() == ["_InMemory", "_InMemory", "_InFile"]
    assert len(buffers) == 2


def test_where_nothing_can_be_stored_an_upload_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(UploadRejected, match=r"^cannot be stored here: "),
        SpoolRoom(2**62, 0).place(),
    ):
        raise AssertionError
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with pytest.raises(UploadRejected, match=r"^cannot be stored here: "), SpoolRoom(10, 0).place():
        raise AssertionError
