"""Figures as people read them: seconds, bytes, shares. What is not known is a dash."""

DASH = "–"


def seconds(value: float | None) -> str:
    """Three significant digits or so, in the unit that suits."""
    if value is None:
        return DASH
    if abs(value) < 1:
        return f"{value * 1000:.0f} ms" if abs(value) >= 0.01 else f"{value * 1000:.2g} ms"
    if value < 100:
        return f"{value:.2f} s"
    return f"{value:.0f} s" if value < 6000 else f"{value / 60:.0f} min"


def size(value: float | None) -> str:
    """Bytes, decimal units as for links."""
    if value is None:
        return DASH
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= factor:
            return (
                f"{value / factor:.3g} {unit}"
                if value < 999 * factor
                else f"{value / factor:.0f} {unit}"
            )
    return f"{value:.0f} B"


def share(value: float | None, digits: int = 1) -> str:
    """What rounds to nothing has no sign."""
    return DASH if value is None else f"{value * 100:z.{digits}f} %"


def small_share(value: float | None) -> str:
    """A share that may be far below one percent."""
    return DASH if value is None else f"{value * 100:z.2g} %"


def figure(value: float | None, digits: int = 4) -> str:
    """So many significant digits."""
    return DASH if value is None else f"{value:.{digits}g}"


_INITIALS = frozenset({"mae", "mse", "rmse"})


def metric(name: str, unit: str | None = None) -> str:
    """As a title: `MAE, years`."""
    said = name.upper() if name in _INITIALS else name.capitalize()
    return f"{said}, {unit}" if unit else said


def milliseconds(value: float | None) -> str:
    return DASH if value is None else f"{value:.2g}" if value < 100 else f"{value:.0f}"


def text(value: object) -> str:
    return DASH if value is None else str(value)


def joined(*parts: object) -> str:
    """The parts that are known, between middle dots."""
    return " · ".join(str(part) for part in parts if part is not None)


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: list[float], width: int = 32) -> str:
    """One bar a value, lowest to highest; of more than `width` values, evenly picked ones."""
    if not values:
        return ""
    if len(values) > width:
        values = [values[round(i * (len(values) - 1) / (width - 1))] for i in range(width)]
    low, span = min(values), max(values) - min(values)
    top = len(_BARS) - 1
    return "".join(_BARS[round((v - low) / span * top) if span else top // 2] for v in values)
