"""The layers of a task's model with sparse weights against dense ones, as a profile of kernels.

A kind's relative time is that of all its layers together, sparse over dense, each layer with the
same share of zeros at random places. Kinds without a sparse path in torch (3-D convolutions,
recurrent layers) are refused: nothing stands for what was not measured.
"""

import datetime
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.sparse_inference import Path as Computed
from benchmarks.sparse_inference import convolution, dense_layers, timed
from learning.task import Task, TaskSettings
from learning.tasks import initial_vector, load_task

ZEROS = (0.0, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
Paths = Callable[[float], tuple[Computed, Computed]]


@dataclass(frozen=True, slots=True)
class Layer:
    kind: str
    shape: tuple[int, ...]
    inputs: torch.Tensor
    paths: Paths
    """Dense and sparse, with this share of zeros."""


def layers_of(task: Task) -> list[Layer]:
    """Each with the inputs that it has for one batch of training."""
    found: list[Layer] = []

    def seen(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        found.append(_layer(layer, inputs[0].detach()))

    structure = task.structure
    module = task.model.module(
        structure.sizes, structure.named(initial_vector(task.settings).copy())
    )
    for layer in module.modules():
        if any(True for _ in layer.parameters(recurse=False)):
            layer.register_forward_hook(seen)
    with torch.no_grad():
        module(task.corpus.train.batch(task.share(0)[: task.defaults.batch_size])[0])
    return found


def _layer(layer: nn.Module, inputs: torch.Tensor) -> Layer:
    if isinstance(layer, nn.Linear):
        wide = (layer.out_features, layer.in_features)
        return Layer("dense", wide, inputs, lambda zeros: dense_layers((wide,), zeros))
    if isinstance(layer, nn.Conv2d) and _plain(layer):
        shape = tuple(layer.weight.shape)
        return Layer("convolution", shape, inputs, lambda zeros: convolution(shape, zeros))
    raise SystemExit(f"{type(layer).__name__}: torch has no sparse path for it; not measured")


def _plain(layer: nn.Conv2d) -> bool:
    around = tuple(side // 2 for side in layer.kernel_size)
    once = layer.stride == layer.dilation == (1, 1)
    return once and layer.groups == 1 and layer.padding == around


def relative_times(layers: list[Layer], repeat: int) -> list[float]:
    """Of these layers together, at each share of zeros."""
    found = []
    for zeros in ZEROS:
        times = [timed(layer.paths(zeros), layer.inputs, repeat) for layer in layers]
        found.append(sum(sparse for _, sparse in times) / sum(dense for dense, _ in times))
    return found


def write_kernels(settings: TaskSettings, repeat: int, out: Path) -> None:
    task = load_task(settings)
    layers, batch = layers_of(task), task.defaults.batch_size
    curves: list[str] = []
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        for kind in dict.fromkeys(layer.kind for layer in layers):
            own = [layer for layer in layers if layer.kind == kind]
            times = [float(f"{time:.3g}") for time in relative_times(own, repeat)]
            shapes = ", ".join("x".join(map(str, layer.shape)) for layer in own)
            source = (
                f"measured: best processor time of {repeat} calls, sparse over dense,"
                f" layers {shapes} together; python -m benchmarks.sparse_inference"
            )
            curves += [
                f"\n[layers.{kind}]",
                f"source = {json.dumps(source)}",
                f'zeros = {{ values = {[round(100 * z) for z in ZEROS]}, unit = "%" }}',
                f'relative_time = {{ values = {times}, unit = "times" }}',
            ]
            print(kind, times, flush=True)
    said = {
        "title": f"torch's CSR kernels on one CPU core, layers of the {task.name} model",
        "task": task.name,
        "conditions": f"{_processor()}, {os.cpu_count()} cores, torch {torch.__version__}, one"
        f" thread, float32, inference on a batch of {batch}, zeros at random places,"
        f" {datetime.date.today().isoformat()}",
        "passes": "forward",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
    out.write_text("\n".join(lines + curves) + "\n")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
