"""Fashion-MNIST (arXiv 1708.07747) and FedSparsify's dense network for it (arXiv 2208.11669)."""

from pathlib import Path

from learning.examples import Images
from learning.idx import IdxError, digest, read_part
from learning.models import mlp
from learning.objective import Classification
from learning.task import Corpus, TaskDefinition, TaskError, TaskSettings, TrainingDefaults

CLASSES = 10
SIDE = 28
PIXEL_MEAN, PIXEL_DEVIATION = 72.94, 90.02
"""The well-known 0.2860 and 0.3530 of 255, of the 60,000 training images."""
HOW_TO_GET = (
    "get it from github.com/zalandoresearch/fashion-mnist or Debian's dataset-fashion-mnist "
    "(/usr/share/datasets/fashion-mnist) and pass its folder with --data"
)


def load(settings: TaskSettings) -> Corpus:
    if settings.data_dir is None:
        raise TaskError(f"fashion-mnist: no data folder; {HOW_TO_GET}")
    folder = Path(settings.data_dir)
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder; {HOW_TO_GET}")
    try:
        train, test = (read_part(folder, part, SIDE, CLASSES) for part in ("train", "test"))
    except IdxError as error:
        raise TaskError(f"{error}; {HOW_TO_GET}") from error
    sums = " ".join(f"{path.name}:{digest(path)[:16]}" for path in (*train.files, *test.files))
    return Corpus(
        Images(train.images, train.labels, PIXEL_MEAN, PIXEL_DEVIATION),
        Images(test.images, test.labels, PIXEL_MEAN, PIXEL_DEVIATION),
        mlp(CLASSES),
        f"data: Fashion-MNIST by its file names; sha256 {sums}",
    )


FASHION_MNIST = TaskDefinition(
    "fashion-mnist",
    "70,000 images of clothes from --data, dense network of 118,282 parameters",
    Classification(CLASSES),
    # FedSparsify's settings, but for its 4 epochs and 200 rounds: ours are for a short run.
    TrainingDefaults(
        rounds=20, epochs=1, batch_size=32, learning_rate=0.02, optimiser="sgd", partition="iid"
    ),
    load,
)
