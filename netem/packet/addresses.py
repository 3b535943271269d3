"""Who has which address inside the namespaces. Nobody outside them can see any."""

from ipaddress import IPv4Address

HUB = "10.0.0.1"
"""The far end of every device's link: what lies behind the access network."""
_FIRST_DEVICE = IPv4Address("10.1.0.0")
MOST_DEVICES = 65536


def device_address(device: int) -> str:
    return str(_FIRST_DEVICE + device)


def device_at(address: str) -> int:
    """Whose address this is."""
    return int(IPv4Address(address)) - int(_FIRST_DEVICE)
