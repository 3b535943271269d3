"""One client of four misbehaves in the middle of a round: it is lost with a reason, or refused
without harm, and the others' sum is right to the last bit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from coordinator.errors import RoundFailed
from coordinator.round import Round
from protocol import messages as m
from strategies.none import Everybody
from tests.coordinator.misbehaving import played_with, reasons
from tests.coordinator.rawclient import LIMIT_S, RawClient, Stage, staged


async def test_a_client_that_behaves_is_in_the_sum(tmp_path: Path) -> None:
    stage = await played_with(tmp_path, lambda raw, stage: raw.play(stage.study), [0, 1, 2, 3])
    assert reasons(stage, "client_lost") == reasons(stage, "message_refused") == []


# --- downloads


async def test_only_the_model_of_the_round_being_played_is_to_be_had(tmp_path: Path) -> None:
    async def get(raw: RawClient, round_: str) -> tuple[int, int]:
        url = f"{raw.url}/v1/model/{round_}"
        async with raw.http.get(url, headers=raw.headers) as response:
            return response.status, len(await response.read())

    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        assert (await get(raw, "x"))[0] == 400
        assert (await get(raw, "0"))[0] == (await get(raw, "2"))[0] == 409
        assert await get(raw, "1") == (200, 4 * stage.start.size)
        assert await raw.put(raw.body(stage.study)) == (200, "")
        await raw.unmask()

    async with staged(tmp_path) as stage:
        raw = await stage.raw().join(3)
        assert (await get(raw, "0"))[0] == 409  # nothing is being played yet
    await played_with(tmp_path, script, [0, 1, 2, 3])


# --- the control channel


async def garbage(raw: RawClient) -> None:
    await raw.socket.send_bytes(b"\xc1 garbage")


async def text(raw: RawClient) -> None:
    await raw.socket.send_str("a text frame")


async def oversized(raw: RawClient) -> None:
    with suppress(ConnectionError):
        await raw.socket.send_bytes(bytes(5 * 2**20))


async def gone(raw: RawClient) -> None:
    await raw.socket.close()


async def failed(raw: RawClient) -> None:
    await raw.send(m.Failed(raw.round, "no more memory"))


ENDINGS = [
    (garbage, "sent garbage: message: not one well-formed msgpack value within bounds"),
    (text, "sent garbage: a frame that is no message, or one that is too big"),
    (oversized, "sent garbage: a frame that is no message, or one that is too big"),
    (gone, "its connection is gone"),
    (failed, "it reported: no more memory"),
]


@pytest.mark.parametrize("when", ["keys", "shares", "collect"])
@pytest.mark.parametrize(("ending", "reason"), ENDINGS)
async def test_a_client_that_ends_badly_is_lost_in_that_phase(
    tmp_path: Path, ending: Callable[[RawClient], Awaitable[None]], reason: str, when: str
) -> None:
    async def script(raw: RawClient, stage: Stage) -> None:
        if when == "keys":
            raw.round = (await raw.receive(m.Plan)).round
        elif when == "shares":
            await raw.advertise()
            await raw.receive(m.Roster)
        else:
            await raw.open()
        await ending(raw)

    stage = await played_with(tmp_path, script, [0, 1, 2])
    assert reasons(stage, "client_lost") == [(3, reason)]
    assert stage.events("client_lost")[0].notes["phase"] == when


async def test_messages_out_of_turn_are_refused_recorded_and_harmless(tmp_path: Path) -> None:
    async def script(raw: RawClient, stage: Stage) -> None:
        plan = await raw.receive(m.Plan)
        sum_ = (plan.round, plan.attempt)
        raw.round = plan.round
        for early in (
            m.SealedShares(*sum_, {}),
            m.Unmask(*sum_, {}, {}),
            m.Note(*sum_, b""),
            plan,
            m.Failed(7, "of another round"),
            m.Welcome(0, "x", {}),
        ):
            await raw.send(early)
        await raw.advertise_to(plan)
        await raw.send(m.PublicKeys(*sum_, bytes(32), bytes(32)))
        await raw.share()
        raw.machine.receive_delivery(await raw.receive(m.Delivery))
        await raw.send(m.Unmask(*sum_, {}, {}))
        assert await raw.put(raw.body(stage.study)) == (200, "")
        await raw.unmask()

    stage = await played_with(tmp_path, script, [0, 1, 2, 3])
    refused = reasons(stage, "message_refused")
    assert {client for client, _ in refused} == {3}
    kinds = ["SealedShares", "Unmask", "Note", "Plan", "Failed", "Welcome", "PublicKeys", "Unmask"]
    assert [reason for _, reason in refused] == [f"{kind} is not due" for kind in kinds]
    assert reasons(stage, "client_lost") == []


async def test_an_answer_that_is_unsafe_is_refused_and_loses_its_client(tmp_path: Path) -> None:
    async def script(raw: RawClient, stage: Stage) -> None:
        plan = await raw.receive(m.Plan)
        await raw.send(m.PublicKeys(plan.round, plan.attempt, bytes(32), bytes(32)))

    stage = await played_with(tmp_path, script, [0, 1, 2])
    said = "client 3 advertises a key that is in use"
    assert reasons(stage, "message_refused") == reasons(stage, "client_lost") == [(3, said)]


async def test_shares_of_nothing_fail_the_round_and_not_the_testbed(tmp_path: Path) -> None:
    """Two shares are needed of the lost client's key; one of those revealed is a lie."""

    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        assert await raw.put(raw.body(stage.study)) == (200, "")
        true = raw.machine.unmask(await raw.receive(m.Survivors))
        lies = dict.fromkeys(true.masking_key_shares, bytes(31) + b"\x07")
        await raw.send(m.Unmask(true.round, true.attempt, lies, true.self_seed_shares))

    async with staged(tmp_path, clients=3, free=(0, 1, 2), threshold=2) as stage:
        raws = [await stage.raw(seed).join(seed) for seed in range(3)]
        for raw in raws:
            await raw.ready()
        playing = asyncio.create_task(stage.run())
        async with asyncio.TaskGroup() as group:
            group.create_task(script(raws[0], stage))
            group.create_task(leave_after_shares(raws[1]))
            group.create_task(honest(raws[2], stage))
        await asyncio.gather(*(raw.leave() for raw in raws))
        await playing
        assert stage.failure is not None
        assert stage.failure.startswith("round 1: the sum cannot be unmasked: ")
        np.testing.assert_array_equal(stage.vector, stage.start)


async def leave_after_shares(raw: RawClient) -> None:
    await raw.open()
    await raw.socket.close()


async def honest(raw: RawClient, stage: Stage) -> None:
    await raw.open()
    assert await raw.put(raw.body(stage.study)) == (200, "")
    await raw.unmask()


async def test_a_client_lost_between_two_phases_is_not_waited_for(tmp_path: Path) -> None:
    """It says that it failed once its vector is in: nobody waits for its shares."""

    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        assert await raw.put(raw.body(stage.study)) == (200, "")
        await raw.send(m.Failed(raw.round, "after its upload"))

    stage = await played_with(tmp_path, script, [0, 1, 2, 3])
    assert all(client == 3 for client, _ in reasons(stage, "client_lost"))
    (finished,) = stage.events("round_finished")
    assert finished.notes["lost"] in ({}, {"3": "unmask"})


async def test_a_client_that_left_between_phases_is_lost_in_the_next(tmp_path: Path) -> None:
    async with staged(tmp_path, aggregation="plain") as stage:
        raw = await stage.raw().join(3)
        client = stage.coordinator.registry[raw.welcome.client]
        round_ = Round((1, 1), [client], stage.coordinator._around)
        round_.lose(3, "between two phases")
        with pytest.raises(RoundFailed, match="no client answered the plan; lost: 3 in shares"):
            async with asyncio.timeout(LIMIT_S):
                await round_.run()
        assert reasons(stage, "client_lost") == [(3, "between two phases")]


async def test_a_fleet_that_has_shrunk_too_far_fails_the_run(tmp_path: Path) -> None:
    """Leaving stragglers out leaves fewer clients than the shares that a secret needs."""
    async with staged(tmp_path, free=()) as stage:
        stage.coordinator._strategy = Few()
        await stage.run()
        assert stage.failure is not None
        assert stage.failure.startswith("round 1: no secure sum among 2 clients: ")
        assert [event.notes["reason"] for event in stage.events("round_failed")] == [
            stage.failure.removeprefix("round 1: ")
        ]


class Few(Everybody):
    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        return [0, 1]

    def left_out(self) -> Mapping[int, str]:
        return {2: "slow", 3: "slow"}


# --- coming back


async def test_a_client_comes_back_with_its_identity(tmp_path: Path) -> None:
    async with staged(tmp_path, rounds=2) as stage:
        first = await stage.raw(1).join(3)
        await first.ready()
        playing = asyncio.create_task(stage.run())
        await first.open()
        await first.socket.close()
        again = await stage.raw(1).join(None)
        assert again.welcome.client == first.welcome.client == 3
        assert again.welcome.credential == first.welcome.credential
        await again.ready()
        await again.play(stage.study)
        await again.leave()
        await playing
        one, two = stage.events("round_finished")
        assert (one.notes["survivors"], one.notes["lost"]) == ([0, 1, 2], {"3": "collect"})
        assert two.notes["survivors"] == [0, 1, 2, 3]
        assert [event.client for event in stage.events("client_back")] == [3]


async def test_a_second_connection_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.raw(1).join(3)
        closing = asyncio.create_task(first.closed())
        second = await stage.raw(1).join(3)
        await closing
        await second.ready()
        playing = asyncio.create_task(stage.run())
        await second.play(stage.study)
        await second.leave()
        await playing
        (finished,) = stage.events("round_finished")
        assert finished.notes["survivors"] == [0, 1, 2, 3]
