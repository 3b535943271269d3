"""Admitting a worker: the token admits, the identity key says who it is.

Hello -> Challenge -> Proof -> Welcome, or Refused with a reason that helps an honest user and
tells an attacker nothing.
"""

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import WSMsgType, web

from coordinator.registry import Client, FleetFull, Registry
from protocol import codec
from protocol.errors import ProtocolError
from protocol.identity import verify_proof
from protocol.messages import VERSION, Challenge, Hello, Message, Proof, Refused, Welcome
from protocol.sizes import CHALLENGE_BYTES
from protocol.telemetry import Json

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Admission:
    """How this run admits workers. `token` and `session` never reach a log."""

    token: str = field(repr=False)
    session: bytes = field(repr=False)
    settings: Mapping[str, Json]
    limit_s: float

    async def admit(
        self, socket: web.WebSocketResponse, registry: Registry
    ) -> tuple[Client, bool] | None:
        """The admitted client and whether it has come back; None if it was refused or left."""
        try:
            async with asyncio.timeout(self.limit_s):
                hello = await self._identified(socket)
            client, back = registry.admit(hello.identity, hello.device, hello.member)
        except (ProtocolError, FleetFull) as refusal:
            await _tell(socket, Refused(str(refusal)))
        except TimeoutError:
            await _tell(socket, Refused("the handshake took too long"))
        except ConnectionError:  # gone before its challenge: nobody to refuse
            pass
        else:
            if await _tell(socket, Welcome(client.id, client.credential, self.settings)):
                return client, back
            if not back:
                registry.release(client)  # it would find the place taken by itself
        return None

    async def _identified(self, socket: web.WebSocketResponse) -> Hello:
        hello = await receive(socket, Hello)
        if hello.version != VERSION:
            raise ProtocolError(
                f"protocol version {hello.version}; this coordinator speaks {VERSION}"
            )
        if not hmac.compare_digest(hello.token.encode(), self.token.encode()):
            raise ProtocolError("wrong token")
        challenge = Challenge(self.session, secrets.token_bytes(CHALLENGE_BYTES))
        await socket.send_bytes(codec.encode(challenge))
        verify_proof(await receive(socket, Proof), challenge, hello.identity)
        return hello


async def _tell(socket: web.WebSocketResponse, message: Message) -> bool:
    """False if nobody is there any more to hear it."""
    try:
        await socket.send_bytes(codec.encode(message))
    except ConnectionError:
        return False
    return True


async def receive(socket: web.WebSocketResponse, kind: type[M]) -> M:
    frame = await socket.receive()
    if frame.type is not WSMsgType.BINARY:
        raise ProtocolError("the connection closed during the handshake")
    message = codec.decode(frame.data)
    if not isinstance(message, kind):
        raise ProtocolError(f"expected {kind.__name__}, got {type(message).__name__}")
    return message
