"""Flower's side of `benchmarks.flower`: rounds of its SecAgg+ in its simulation engine.

Runs in an environment of its own, with Flower and without anything of ours. No training: every
client answers at once with a fixed vector. Each stage of Flower's workflow is timed where the
workflow calls it; the last line of standard output is a JSON object with the seconds of each round.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from flwr.client import Client, ClientApp, NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.common import Context, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import LegacyContext, ServerApp, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.simulation import run_simulation

STAGES = ("setup_stage", "share_keys_stage", "collect_masked_vectors_stage", "unmask_stage")
"""Keys; shares; vectors; unmasking with FedAvg's own step."""
POLL_S = 0.01
"""How often the server looks for answers. Flower's default of 0.1 s would be most of a small round;
what it waits is not what is compared."""


class Stopwatch:
    """Seconds of each call, by name."""

    def __init__(self) -> None:
        self.taken_s: dict[str, list[float]] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:  # noqa: ANN401
            start_s = time.perf_counter()
            try:
                return function(*args)
            finally:
                self.taken_s.setdefault(name, []).append(time.perf_counter() - start_s)

        return call


class FixedClient(NumPyClient):  # type: ignore[misc]
    """Has no data and trains nothing."""

    def __init__(self, value: float, size: int) -> None:
        self._vector = np.full(size, value, np.float32)

    def fit(self, parameters: list[Any], config: dict[str, Any]) -> tuple[list[Any], int, Any]:
        return [self._vector], 1, {}


def client_app(size: int, clients: int) -> ClientApp:
    def client_of(context: Context) -> Client:
        number = int(context.node_config["partition-id"])
        return FixedClient((number + 1) / clients, size).to_client()

    return ClientApp(client_fn=client_of, mods=[secaggplus_mod])


def server_app(settings: argparse.Namespace, watch: Stopwatch, means: list[Any]) -> ServerApp:
    app = ServerApp()

    def main(grid: Any, context: Context) -> None:  # noqa: ANN401
        grid.pull_interval = POLL_S
        secure = SecAggPlusWorkflow(
            num_shares=settings.shares,
            reconstruction_threshold=settings.threshold,
            max_weight=1.0,
            clipping_range=settings.clip,
            quantization_range=settings.quantization_range,
            modulus_range=2**32,
        )
        for stage in STAGES:
            setattr(secure, stage, watch.timed(stage, getattr(secure, stage)))
        strategy = _strategy(settings, watch, means)
        legacy = LegacyContext(
            context=context,
            config=ServerConfig(num_rounds=settings.rounds),
            strategy=strategy,
        )
        DefaultWorkflow(fit_workflow=watch.timed("round", secure))(grid, legacy)

    app.main()(main)
    return app


def _strategy(settings: argparse.Namespace, watch: Stopwatch, means: list[Any]) -> FedAvg:
    """Plain FedAvg; its step is timed too and its results are kept to be checked."""
    strategy = FedAvg(
        fraction_fit=1.0,
        fraction_evaluate=0.0,
        min_fit_clients=settings.clients,
        min_available_clients=settings.clients,
        initial_parameters=ndarrays_to_parameters([np.zeros(settings.size, np.float32)]),
    )
    aggregate = watch.timed("fedavg", strategy.aggregate_fit)

    def kept(*args: Any) -> Any:  # noqa: ANN401
        parameters, metrics = aggregate(*args)
        means[:] = [parameters]
        return parameters, metrics

    strategy.aggregate_fit = kept
    return strategy


def main() -> None:
    parser = argparse.ArgumentParser(description="Rounds of Flower's SecAgg+, timed.")
    for name in ("clients", "size", "shares", "threshold", "rounds", "quantization-range"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--clip", type=float, required=True)
    settings = parser.parse_args()
    watch, means = Stopwatch(), list[Any]()
    run_simulation(
        server_app(settings, watch, means),
        client_app(settings.size, settings.clients),
        settings.clients,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    if len(watch.taken_s.get("fedavg", ())) != settings.rounds:
        raise SystemExit("Flower did not finish its rounds")
    (mean,) = parameters_to_ndarrays(means[0])
    expected = (settings.clients + 1) / 2 / settings.clients
    error = float(np.abs(mean - expected).max())
    if error > 2 * settings.clip / settings.quantization_range * 2:
        raise SystemExit(f"Flower's mean is off by {error}")
    versions = {name: version(name) for name in ("flwr", "ray", "numpy")}
    print(json.dumps({"seconds": watch.taken_s, "versions": versions, "error": error}))


if __name__ == "__main__":
    main()
