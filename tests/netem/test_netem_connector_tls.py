"""https through shaped links."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from netem.link import LinkParameters, wire_bytes
from tests.netem.connector_rig import (
    content,
    device,
    leaks_nothing,
    no_task_is_left,
    put,
    serving,
    session,
)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    yield from leaks_nothing()


@pytest.fixture(scope="module")
def contexts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], tuple[ssl.SSLContext, ssl.SSLContext]]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    self_signed(certificate, key)

    def make() -> tuple[ssl.SSLContext, ssl.SSLContext]:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        return server, ssl.create_default_context(cafile=str(certificate))

    return make


def self_signed(certificate: Path, key: Path) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def test_https_is_shaped_above_tls(
    contexts: Callable[[], tuple[ssl.SSLContext, ssl.SSLContext]],
) -> None:
    theirs, ours = contexts()
    data = content(300_000)
    link = LinkParameters(5e6, 0.02)
    loop = asyncio.get_running_loop()
    async with serving(theirs) as server, device(link) as links, session(links, ours) as client:
        start_s = loop.time()
        assert await put(client, server.url, data) == str(len(data))
        # TCP and TLS cost a round trip each before the request's own.
        assert loop.time() - start_s >= wire_bytes(len(data)) / 5e6 + 6 * 0.02
        async with client.get(f"{server.url}?bytes=300000") as response:
            assert await response.read() == data
        async with client.ws_connect(f"{server.url}echo") as messages:
            await messages.send_bytes(data)
            assert await messages.receive_bytes() == data
    await no_task_is_left()
