"""What goes wrong with run folders, each in one clear line."""


class RunFolderError(Exception):
    """A run folder cannot be written or read; the message names the path and the rule."""


class ComparisonError(Exception):
    """Runs that must not be compared; the message names the setting in which they differ."""
