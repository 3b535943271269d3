"""What a virtual loop refuses: whatever waits for the real network or another process.

Such a wait takes real time and no virtual time: the clock would jump ahead of its answer, and what
came of it would differ from run to run. Refusing is the only honest answer.
"""

from typing import Any, NoReturn

from netem.virtual.errors import RealWorld

_REFUSED = {
    "a real descriptor": ("add_reader", "add_writer", "connect_read_pipe", "connect_write_pipe"),
    "a real socket": (
        "sock_accept",
        "sock_connect",
        "sock_recv",
        "sock_recv_into",
        "sock_recvfrom",
        "sock_recvfrom_into",
        "sock_sendall",
        "sock_sendfile",
        "sock_sendto",
        "connect_accepted_socket",
        "create_datagram_endpoint",
    ),
    "another process": ("subprocess_exec", "subprocess_shell"),
    "TLS": ("start_tls",),
    "the name service": ("getnameinfo",),
}


def refusal(name: str, what: str) -> RealWorld:
    return RealWorld(
        f"loop.{name}: {what} does not follow a virtual clock: it would answer after some real"
        " time, and virtual time would have jumped on"
    )


class NoRealWorld:
    """Raises RealWorld from every such call of a loop."""


def _refuse(name: str, what: str) -> None:
    def refused(self: NoRealWorld, *args: Any, **options: Any) -> NoReturn:  # noqa: ANN401
        raise refusal(name, what)

    refused.__name__ = name
    setattr(NoRealWorld, name, refused)


for _what, _names in _REFUSED.items():
    for _name in _names:
        _refuse(_name, _what)
