"""Whose fault it was. Their fault and ours are different types, so that a coordinator can drop a
misbehaving worker without hiding a defect of its own.

Every message is one line and names ids, fields and sizes only: never a key, a share, a seed, a
token or the bytes that were refused.
"""


class ProtocolError(Exception):
    """Their fault: what the other side sent is malformed, out of turn or unsafe to answer."""


class LocalError(Exception):
    """Our fault: the caller asked for something illegal, or has something that cannot be sent."""


class TooFewSurvivors(Exception):
    """Nobody's fault: so many clients were lost that the sum cannot be recovered."""
