"""How a command ends when it does not end well; `commands.cli` turns these into exit codes."""

EXIT_GOOD, EXIT_BAD_INPUT, EXIT_FAILED, EXIT_UNSTABLE = 0, 2, 3, 4


class BadInput(Exception):
    """One line that names where (file or option), key and rule. Exit 2."""


class Failure(Exception):
    """The run failed: the reason, and what is kept. Exit 3."""


class Unstable(Exception):
    """Finished, but the host was too slow for its numbers to be trusted. Exit 4 under --strict."""
