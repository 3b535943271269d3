"""What pruned weights save in inference on this host's CPU: dense kernels against torch's CSR ones.

    python -m benchmarks.sparse_inference [--repeat N]
    python -m benchmarks.sparse_inference --task NAME [--data DIR] --out FILE

With a task: every layer of its model, on a batch as in training, into a profile of kernels that
`--set sparse_compute=FILE` takes (`benchmarks/sparse_layers.py`).

One thread, float32, weights pruned at random places. Ratios are of the best times of one run, dense
over sparse: above 1 the sparse path is faster. A convolution's sparse path is its unfolded input
times the sparse weights, unfolding included, since torch has no sparse convolution.
"""

import argparse
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch.nn import functional

from learning.task import TaskSettings

SPARSITIES = (0.0, 0.8, 0.9, 0.95, 0.99)
MLP = ((128, 784), (128, 128), (10, 128))
Path = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Case:
    """`build` makes the dense and the sparse path of weights with these zeros."""

    name: str
    inputs: tuple[int, ...]
    build: Callable[[float], tuple[Path, Path]]


def pruned(shape: tuple[int, ...], sparsity: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(shape, generator=generator) / sqrt(prod(shape[1:]))
    order = torch.randperm(weights.numel(), generator=generator)
    weights.view(-1)[order[: int(sparsity * weights.numel())]] = 0.0
    return weights


def dense_layers(shapes: tuple[tuple[int, int], ...], sparsity: float) -> tuple[Path, Path]:
    layers = [pruned(shape, sparsity, number) for number, shape in enumerate(shapes)]
    rows = [layer.to_sparse_csr() for layer in layers]

    def dense(inputs: torch.Tensor) -> torch.Tensor:
        for layer in layers[:-1]:
            inputs = torch.relu(inputs @ layer.T)
        return inputs @ layers[-1].T

    def sparse(inputs: torch.Tensor) -> torch.Tensor:
        found = inputs.T.contiguous()
        for layer in rows[:-1]:
            found = torch.relu(layer @ found)
        return (rows[-1] @ found).T

    return dense, sparse


def convolution(shape: tuple[int, ...], sparsity: float) -> tuple[Path, Path]:
    """Of an odd kernel, with as many positions after as before."""
    kernel, padding = (shape[2], shape[3]), (shape[2] // 2, shape[3] // 2)
    weights = pruned(shape, sparsity)
    rows = weights.flatten(1).to_sparse_csr()

    def dense(inputs: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(inputs, weights, padding=padding)

    def sparse(inputs: torch.Tensor) -> torch.Tensor:
        count, _, height, width = inputs.shape
        columns = functional.unfold(inputs, kernel, padding=padding).transpose(0, 1).flatten(1)
        found = rows @ columns.contiguous()
        return found.view(shape[0], count, height, width).transpose(0, 1)

    return dense, sparse


def cases() -> list[Case]:
    large = ((512, 2048), (256, 512))
    return [
        Case("MLP 784-128-128-10, 1 image", (1, 784), lambda s: dense_layers(MLP, s)),
        Case("MLP 784-128-128-10, 256 images", (256, 784), lambda s: dense_layers(MLP, s)),
        Case("VGG-9's dense layers, 1 image", (1, 2048), lambda s: dense_layers(large, s)),
        Case("VGG-9's dense layers, 64 images", (64, 2048), lambda s: dense_layers(large, s)),
        Case(
            "VGG-9's fourth convolution, 16 images",
            (16, 64, 16, 16),
            lambda s: convolution((64, 64, 3, 3), s),
        ),
    ]


def best_s(path: Path, inputs: torch.Tensor, repeat: int) -> float:
    """Least processor time of one call."""
    found = []
    for _ in range(repeat):
        begun = time.thread_time()
        path(inputs)
        found.append(time.thread_time() - begun)
    return min(found[1:] or found)


def measured(case: Case, sparsity: float, repeat: int) -> tuple[float, float]:
    """Seconds of the dense and of the sparse path, which must agree."""
    inputs = torch.randn(case.inputs, generator=torch.Generator().manual_seed(1))
    return timed(case.build(sparsity), inputs, repeat)


def timed(paths: tuple[Path, Path], inputs: torch.Tensor, repeat: int) -> tuple[float, float]:
    dense, sparse = paths
    torch.testing.assert_close(dense(inputs), sparse(inputs), rtol=1e-3, atol=1e-3)
    return best_s(dense, inputs, repeat), best_s(sparse, inputs, repeat)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--task", metavar="NAME")
    parser.add_argument("--data", metavar="DIR")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE")
    arguments = parser.parse_args(words)
    repeat = arguments.repeat
    torch.set_num_threads(1)
    if arguments.task is not None:
        if arguments.out is None:
            parser.error("--task: needs --out FILE")
        from benchmarks.sparse_layers import write_kernels

        write_kernels(TaskSettings(arguments.task, arguments.data), repeat, arguments.out)
        return 0
    print("| | dense, ms | " + " | ".join(f"{s:.0%} zeros" for s in SPARSITIES) + " |")
    print("|---|---|" + "---|" * len(SPARSITIES))
    with torch.no_grad():
        for case in cases():
            times = [measured(case, sparsity, repeat) for sparsity in SPARSITIES]
            ratios = " | ".join(f"{dense / sparse:.2f}" for dense, sparse in times)
            print(f"| {case.name} | {min(t for t, _ in times) * 1e3:.3f} | {ratios} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
