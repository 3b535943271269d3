"""The networks. Adding one is writing one function and its line in MODELS."""

from collections.abc import Callable, Mapping

from learning.models.convolutional import femnist_cnn, vgg9
from learning.models.dense import mlp
from learning.models.model import Model
from learning.models.recurrent import character_lstm
from learning.models.volumetric import brain_age_cnn

MODELS: Mapping[str, Callable[[int], Model]] = {
    "femnist-cnn": femnist_cnn,
    "vgg9": vgg9,
    "character-lstm": character_lstm,
    "mlp": mlp,
    "brain-age-cnn": brain_age_cnn,
}
"""Every network, by name: a function of the number of classes, or of values estimated."""

__all__ = ["MODELS", "Model", "brain_age_cnn", "character_lstm", "femnist_cnn", "mlp", "vgg9"]
