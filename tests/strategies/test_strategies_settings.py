import math

import pytest

from strategies.settings import SettingsError, StrategySettings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("straggler_share", 1.0),
        ("straggler_share", -0.1),
        ("straggler_share", math.nan),
        ("straggler_share", "0.2"),
        ("straggler_margin", -0.01),
        ("straggler_margin", math.inf),
        ("min_keep", 0.0),
        ("min_keep", 1.01),
        ("min_keep", True),
        ("warmup_rounds", -1),
        ("warmup_rounds", 2.0),
        ("evidence", "both"),
        ("evidence", None),
        ("renewal_rounds", 0),
        ("renewal_rounds", True),
        ("seed", -1),
        ("keep_step", 0.0),
        ("keep_step", 1.5),
        ("threshold_growth", 1.0),
    ],
)
def test_an_illegal_setting_is_one_line_that_names_it(key: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        StrategySettings(**{key: value})  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(f"strategy: {key}: must be ")
    assert repr(value) in message
    assert "\n" not in message


def test_the_bounds_themselves_are_legal() -> None:
    settings = StrategySettings(
        straggler_share=0, straggler_margin=0, min_keep=1, warmup_rounds=0, renewal_rounds=1
    )
    assert settings.min_keep == 1
