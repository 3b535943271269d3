"""What can end a round or a run on the coordinator's side."""


class RoundFailed(Exception):
    """This round gives no new model: too few clients were left. The model stays as it was."""


class RunFailed(Exception):
    """The run cannot go on. What is finished is kept."""
