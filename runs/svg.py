"""A small kit for charts as inline SVG: scales, ticks, axes, marks. Knows nothing of runs.

Colours of text and lines are CSS variables of the page, so that a chart follows light and dark.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LEFT, RIGHT, TOP, BOTTOM = 64, 14, 10, 40


def nice_ticks(top: float, count: int = 5, bottom: float = 0.0) -> list[float]:
    """Round values from `bottom` to `top` and beyond: steps of 1, 2, 2.5 or 5 by powers of ten."""
    span = top - bottom
    if span <= 0 or not math.isfinite(span):
        return [bottom, bottom + 1.0]
    power = 10 ** math.floor(math.log10(span / count))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= span / count)
    first, last = math.floor(bottom / step + 1e-9), math.ceil(top / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def escape(text: object) -> str:
    return html.escape(str(text), quote=True)


@dataclass(slots=True)
class Chart:
    """A plot of `width` x `height` pixels, its data range given by the ticks of both axes."""

    title: str
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    x_label: str
    y_label: str = ""
    width: int = 640
    height: int = 240
    left: int = LEFT
    parts: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        return self._along(value, self.x_ticks, self.left, self.width - RIGHT)

    def y(self, value: float) -> float:
        return self._along(value, self.y_ticks, self.height - BOTTOM, TOP)

    def _along(self, value: float, ticks: Sequence[float], start: float, end: float) -> float:
        return start + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (end - start)

    def rect(self, x: tuple[float, float], y: tuple[float, float], fill: str, tip: str) -> None:
        """Corners in pixels; `tip` is shown by the browser on hover and read by screen readers."""
        self.parts.append(
            f'<rect x="{x[0]:.2f}" y="{min(y):.2f}" width="{max(0.4, x[1] - x[0]):.2f}" '
            f'height="{abs(y[1] - y[0]):.2f}" fill="{fill}"><title>{escape(tip)}</title></rect>'
        )

    def line(self, points: Sequence[tuple[float, float]], colour: str, tips: Sequence[str]) -> None:
        """Points in data coordinates, joined and dotted."""
        path = " ".join(f"{self.x(x):.2f},{self.y(y):.2f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        for (x, y), tip in zip(points, tips, strict=True):
            self.parts.append(
                f'<circle cx="{self.x(x):.2f}" cy="{self.y(y):.2f}" r="3" fill="{colour}">'
                f"<title>{escape(tip)}</title></circle>"
            )

    def whisker(self, at: float, ends: tuple[float, float], colour: str) -> None:
        """An upright between two values, in data coordinates."""
        x, (low, high) = self.x(at), map(self.y, ends)
        self.parts.append(
            f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{low:.2f}" y2="{high:.2f}" stroke="{colour}"/>'
        )

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>')

    def marker(self, x: float, text: str) -> None:
        """A dashed upright at pixel `x`."""
        self.parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{self.height - BOTTOM}"/>'
        )
        self.text(x + 4, TOP + 10, text, 'class="small"')

    def band(self, start: float, end: float) -> None:
        """A shaded stretch between two pixels: what is set apart, such as warm-up."""
        self.parts.append(
            f'<rect class="band" x="{start:.1f}" y="{TOP}" width="{end - start:.1f}" '
            f'height="{self.height - BOTTOM - TOP}"/>'
        )

    def x_axis(self, labels: bool = True) -> None:
        base = self.height - BOTTOM
        for tick in self.x_ticks if labels else ():
            at = self.x(tick)
            self.parts.append(
                f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{base}"/>'
            )
            self.text(at, base + 14, f"{tick:g}", 'text-anchor="middle"')
        middle = (self.left + self.width - RIGHT) / 2
        self.text(middle, self.height - 6, self.x_label, 'class="label" text-anchor="middle"')

    def y_axis(self) -> None:
        for tick in self.y_ticks:
            at = self.y(tick)
            self.parts.append(
                f'<line class="grid" x1="{self.left}" x2="{self.width - RIGHT}" '
                f'y1="{at:.1f}" y2="{at:.1f}"/>'
            )
            self.text(self.left - 6, at + 4, f"{tick:g}", 'text-anchor="end"')
        middle = (TOP + self.height - BOTTOM) / 2
        turned = f'class="label" text-anchor="middle" transform="rotate(-90 14 {middle:.0f})"'
        self.text(14, middle, self.y_label, turned)

    def render(self) -> str:
        return (
            f'<figure><figcaption>{escape(self.title)}</figcaption><svg viewBox="0 0 {self.width} '
            f'{self.height}" role="img" aria-label="{escape(self.title)}">'
            f"{''.join(self.parts)}</svg></figure>"
        )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """(colour, words) pairs."""
    keys = "".join(
        f'<span class="key"><i style="background:{colour}"></i>{escape(words)}</span>'
        for colour, words in entries
    )
    return f'<p class="legend">{keys}</p>'
