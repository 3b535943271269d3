"""What can go wrong with links that need the kernel's help. Knows nothing of how they are made."""


class LinksUnavailable(Exception):
    """This system does not let us have such links: one line that says what is missing."""


class LinksLost(ConnectionError):
    """The process that held the links is gone, and with it every connection over them."""
