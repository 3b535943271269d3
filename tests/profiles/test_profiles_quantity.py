"""Figures: every unit means what it says, everything else is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.quantity import UNITS, Dimension, QuantityError, Standing, parse_quantity

EVERY_UNIT = [(dimension, unit) for dimension in Dimension for unit in UNITS[dimension]]


def figure(value: object, unit: object, source: object = "a table, 2026") -> dict[str, object]:
    return {"value": value, "unit": unit, "source": source}


@pytest.mark.parametrize(
    ("number", "unit", "dimension", "value"),
    [
        (8, "Mbit/s", Dimension.LINK_RATE, 1e6),
        (0.5, "Gbit/s", Dimension.LINK_RATE, 62.5e6),
        (380, "kbit/s", Dimension.LINK_RATE, 47_500),
        (2, "MB/s", Dimension.BYTE_RATE, 2e6),
        (1.5, "GB/s", Dimension.BYTE_RATE, 1.5e9),
        (2, "GiB", Dimension.MEMORY, 2_147_483_648),
        (3, "MiB", Dimension.MEMORY, 3_145_728),
        (0.25, "GMAC/s", Dimension.MAC_RATE, 2.5e8),
        (20, "ms", Dimension.DURATION, 0.02),
        (32, "us", Dimension.DURATION, 32e-6),
        (32, "µs", Dimension.DURATION, 32e-6),
        (400, "ns", Dimension.DURATION, 400e-9),
        (200, "Mvalue/s", Dimension.VALUE_RATE, 2e8),
    ],
)
def test_units_in_base_units(number: float, unit: str, dimension: Dimension, value: float) -> None:
    assert parse_quantity(figure(number, unit), dimension).value == pytest.approx(value, rel=1e-15)


@given(
    place=st.sampled_from(EVERY_UNIT),
    number=st.floats(1e-12, 1e12) | st.integers(1, 10**12),
)
@settings(max_examples=150)
def test_a_figure_keeps_its_text_and_survives_the_mapping(
    place: tuple[Dimension, str], number: float
) -> None:
    dimension, unit = place
    quantity = parse_quantity(figure(number, unit), dimension)
    assert quantity.text == f"{number} {unit}"
    assert quantity.value / UNITS[dimension][unit] == pytest.approx(number, rel=1e-12)
    assert parse_quantity(quantity.to_mapping(), dimension) == quantity


@given(place=st.sampled_from(EVERY_UNIT), number=st.floats(1e-6, 1e6))
@settings(max_examples=100)
def test_larger_numbers_are_larger_quantities(place: tuple[Dimension, str], number: float) -> None:
    dimension, unit = place
    small = parse_quantity(figure(number, unit), dimension)
    assert parse_quantity(figure(number * 2, unit), dimension).value == 2 * small.value


@given(dimension=st.sampled_from(Dimension), unit=st.text(max_size=8))
@settings(max_examples=150)
def test_only_the_units_of_the_dimension_are_taken(dimension: Dimension, unit: str) -> None:
    if unit in UNITS[dimension]:
        assert parse_quantity(figure(1, unit), dimension).unit == unit
    else:
        with pytest.raises(QuantityError) as caught:
            parse_quantity(figure(1, unit), dimension)
        assert caught.value.field == "unit"


def test_no_unit_belongs_to_two_dimensions() -> None:
    units = [unit for _, unit in EVERY_UNIT]
    assert len(units) == len(set(units))


@pytest.mark.parametrize("dimension", Dimension)
@pytest.mark.parametrize("unit", ["TOPS", "TFLOPS", "GFLOP/s", "GOP/s"])
def test_peak_operations_are_refused(dimension: Dimension, unit: str) -> None:
    with pytest.raises(QuantityError, match="peak operations, not measured work"):
        parse_quantity(figure(1, unit), dimension)


@pytest.mark.parametrize(
    "number",
    [
        0,
        0.0,
        -0.0,
        -1,
        math.nan,
        math.inf,
        -math.inf,
        10**400,
        -(10**400),
        1e301,
        True,
        "3",
        None,
        [],
    ],
)
def test_numbers_that_are_none(number: object) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_quantity(figure(number, "ms"), Dimension.DURATION)
    assert caught.value.field == "value"


@pytest.mark.parametrize(("number", "unit"), [(1e300, "GMAC/s"), (5e-324, "MMAC/s")])
def test_a_rate_out_of_range_is_refused(number: float, unit: str) -> None:
    with pytest.raises(QuantityError, match="out of range"):
        parse_quantity(figure(number, unit), Dimension.MAC_RATE)


@pytest.mark.parametrize(
    "source", ["", "  ", "two\nlines", "derived:", "assumed: ", "assumed", "derived ", 7, None]
)
def test_sources_that_name_nothing(source: object) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_quantity(figure(1, "ms", source), Dimension.DURATION)
    assert caught.value.field == "source"


@pytest.mark.parametrize(
    ("source", "standing"),
    [
        ("Ookla, 2025", Standing.CITED),
        ("derived: twice the other", Standing.DERIVED),
        ("assumed: nobody measured it", Standing.ASSUMED),
        ("FLASH: assumed to hold", Standing.CITED),
    ],
)
def test_standing_is_the_first_word_of_the_source(source: str, standing: Standing) -> None:
    assert parse_quantity(figure(1, "ms", source), Dimension.DURATION).standing is standing
