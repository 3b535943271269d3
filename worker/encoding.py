"""A client's update as ring elements, before anything masks them.

[update, weighted and quantised] ++ [participation counts] ++ [share of clipped coordinates] ++
[votes]: of the update only those coordinates that travel (`learning.upload`).
"""

from dataclasses import dataclass

import numpy as np

from learning.selection import Kept, Selection
from learning.structure import Vector
from learning.training import TrainingResult
from protocol.secagg.ring import Words
from strategies.interface import Decision
from strategies.pruning import Trained
from worker.client import Client


@dataclass(frozen=True, slots=True)
class Fit:
    decision: Decision
    result: TrainingResult
    seconds: float


Setting = tuple[int, Vector, Selection | None]
"""Round, model as downloaded, what of it travels."""


def encode(client: Client, fit: Fit, setting: Setting) -> tuple[Words, int]:
    """The words, and how many coordinates were clipped.

    The share of these tells the mean over clients without telling anybody's own. Chance, if it
    rounds, is keyed by (seed, round, client) and protects nothing: the masks do.
    """
    round_, _, travels = setting
    numbers, weight = client.fixed_point, fit.result.examples
    update, votes = _pruned(client, fit, setting)
    values = update if travels is None else travels.extract(update)
    upload = client.upload(values.size)
    words: Words = np.empty(upload.words, dtype=numbers.word)
    words[upload.values :] = 0
    chance = None
    if client.settings.rounding == "stochastic":
        chance = np.random.Generator(np.random.SFC64([client.settings.seed, round_, client.id]))
    clipped = numbers.quantise(values, weight, words[: upload.values], chance)
    share = round(clipped / values.size * numbers.share_parts)
    counts = client.layout.weights(fit.decision.keep, weight)
    words[upload.counts_at] = upload.counts.pack(counts)
    numbers.encode_integers(np.array([share]), words[upload.share_at : upload.share_at + 1])
    if votes is not None and upload.votes is not None:
        heads = (votes if travels is None else votes[travels.kept]).astype(np.int64)
        words[upload.votes_at] = upload.votes.pack(heads)
        if upload.vote_weights is not None:
            words[upload.vote_weights_at] = upload.vote_weights.pack(heads * weight)
    return words, clipped


def _pruned(client: Client, fit: Fit, setting: Setting) -> tuple[Vector, Kept | None]:
    """What is sent of the update, and the client's votes, where it has any."""
    round_, model, travels = setting
    if client.pruning is None:
        return fit.result.update, None
    kept = np.ones(model.size, np.bool_) if travels is None else travels.kept
    return client.pruning.upload(round_, Trained(model, fit.result.update, kept))
