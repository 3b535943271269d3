"""The settings that a welcome carries: there and back, and every way in which they are refused."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from protocol.errors import ProtocolError
from protocol.settings import ClientSettings
from protocol.telemetry import Json

GOOD = ClientSettings(
    task="digits",
    partition="iid",
    alpha=0.5,
    train_examples=0,
    test_examples=0,
    grid="",
    clients=20,
    seed=0,
    epochs=2,
    batch_size=10,
    learning_rate=0.05,
    optimiser="sgd",
    momentum=0.0,
    strategy="clip",
    strategy_settings={"min_keep": 0.25},
    clip=0.5,
    ring_bits=32,
    rounding="nearest",
    max_weight=72,
    aggregation="secagg",
    adversary="semi-honest",
    time_scale=1.0,
    precompute=False,
    sparse_compute={},
)


def test_there_and_back() -> None:
    assert ClientSettings.from_mapping(GOOD.to_mapping()) == GOOD


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("task", 3, "task: expected str"),
        ("clients", "20", "clients: expected int"),
        ("clients", True, "clients: expected int"),
        ("clients", -1, "clients: negative"),
        ("learning_rate", 1, "learning_rate: expected float"),
        ("learning_rate", math.nan, "learning_rate: not a finite number"),
        ("clip", math.inf, "clip: not a finite number"),
        ("clip", -0.5, "clip: negative"),
        ("strategy_settings", [], "strategy_settings: expected"),
        ("sparse_compute", "dense", "sparse_compute: expected"),
        ("precompute", 1, "precompute: expected bool"),
        ("colour", "blue", "colour: unknown"),
    ],
)
def test_a_wrong_value_is_refused_by_key_and_rule(key: str, value: Json, rule: str) -> None:
    with pytest.raises(ProtocolError, match=rule):
        ClientSettings.from_mapping(GOOD.to_mapping() | {key: value})


@pytest.mark.parametrize("key", sorted(GOOD.to_mapping()))
def test_a_missing_key_is_refused(key: str) -> None:
    mapping = GOOD.to_mapping()
    del mapping[key]
    with pytest.raises(ProtocolError, match=f"{key}: missing"):
        ClientSettings.from_mapping(mapping)


def test_the_digest_of_what_is_trained_changes_with_each_setting_and_the_model() -> None:
    model = bytes(range(16))
    digests = {GOOD.training_digest(model), GOOD.training_digest(model[:-1] + b"x")}
    for field in fields(ClientSettings):
        value: Any = getattr(GOOD, field.name)
        other: Any = {"min_keep": 0.5} if isinstance(value, dict) else value * 2 or type(value)(1)
        digests.add(replace(GOOD, **{field.name: other}).training_digest(model))
    assert len(digests) == 2 + len(fields(ClientSettings))
    assert ClientSettings.from_mapping(GOOD.to_mapping()).training_digest(model) in digests
