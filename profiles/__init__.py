"""Devices, networks and fleets as data: TOML files whose every figure has a unit and a source.

Knows nothing of what is emulated with them; imports nothing of the other rooms.
"""

from profiles.catalogue import Kind, UnknownProfile, list_profiles
from profiles.device import OPERATIONS, Device, load_device
from profiles.display import Profile, load_profile, show
from profiles.errors import ProfileError
from profiles.fleet import Fleet, Member, Site, fleet_from_mapping, load_fleet
from profiles.jitter import NetworkJitter
from profiles.kernel import Kernels, load_kernels
from profiles.network import Network, load_network
from profiles.played import PlayedTrace
from profiles.population import Population
from profiles.quantity import Dimension, Quantity, Standing
from profiles.shared import SharedAccess
from profiles.transport import NO_CONTROL, NetworkTransport

__all__ = [
    "NO_CONTROL",
    "OPERATIONS",
    "Device",
    "Dimension",
    "Fleet",
    "Kernels",
    "Kind",
    "Member",
    "Network",
    "NetworkJitter",
    "NetworkTransport",
    "PlayedTrace",
    "Population",
    "Profile",
    "ProfileError",
    "Quantity",
    "SharedAccess",
    "Site",
    "Standing",
    "UnknownProfile",
    "fleet_from_mapping",
    "list_profiles",
    "load_device",
    "load_fleet",
    "load_kernels",
    "load_network",
    "load_profile",
    "show",
]
