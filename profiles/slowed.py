"""A device or a network as some factor slower than its profile: what a study of stragglers varies.

The result is a profile like any other, under a name of its own, each changed figure with its
source. Knows nothing of fleets.
"""

from profiles.device import Device, parse_device
from profiles.document import Table
from profiles.network import Network, parse_network
from profiles.quantity import Dimension, Quantity

COMPUTE, LINK = "slower_compute", "slower_network"
KEYS = (COMPUTE, LINK)
_LASTS_LONGER = (
    "batch_overhead",
    "key_agreement",
    "signature",
    "verification",
    "field_multiplication",
)
_DOES_LESS = ("training_rate", "sealing_rate", "mask_rate", "quantisation_rate")
_CARRIES_LESS = ("down", "up")


def slowed(device: Device, network: Network, place: Table) -> tuple[Device, Network]:
    """The pair as the entry has it; every operation of a slower device takes as much longer, a
    slower network has its rates divided and its round trip as it was."""
    if COMPUTE in place.entries:
        device = slowed_device(device, place.quantity(COMPUTE, Dimension.FACTOR))
    if LINK in place.entries:
        network = slowed_network(network, place.quantity(LINK, Dimension.FACTOR))
    return device, network


def slowed_device(device: Device, factor: Quantity) -> Device:
    described = device.to_mapping()
    times = dict.fromkeys(_LASTS_LONGER, factor.value) | dict.fromkeys(_DOES_LESS, 1 / factor.value)
    return parse_device(*_changed(device.name, described, times, factor))


def slowed_network(network: Network, factor: Quantity) -> Network:
    described = network.to_mapping()
    times = dict.fromkeys(_CARRIES_LESS, 1 / factor.value)
    return parse_network(*_changed(network.name, described, times, factor))


def _changed(
    name: str, described: dict[str, object], times: dict[str, float], factor: Quantity
) -> tuple[str, Table]:
    """The new name and the profile's table with these figures multiplied."""
    new, said = f"{name}-x{factor.value:g}", f"{name} slowed {factor.value:g} times"
    changed = dict(described)
    for key, by in times.items():
        figure = changed[key]
        if isinstance(figure, dict):
            # Six digits: more than any source has, and no tail of a division in what is shown.
            number = float(f"{figure['value'] * by:.6g}")
            source = f"derived: {said} ({factor.source}); {figure['source']}"
            changed[key] = figure | {"value": number, "source": source}
    changed["title"] = f"{described['title']}, {factor.value:g} times slower"
    return new, Table(new, "", changed)
