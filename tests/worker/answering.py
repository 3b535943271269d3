"""A coordinator's HTTP face in one handler, for a worker's side of the wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LIMIT_S = 30.0


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A server that answers everything with the handler."""
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{anything:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(LIMIT_S):
            yield session, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
