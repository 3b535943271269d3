"""The report: whole HTML, self-contained, with the plots it promises, safe from what it shows."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.analysis import analyse
from runs.report import report_html
from runs.summary import summarise
from runs.svg import nice_ticks

Fake = Callable[..., Any]
Config = dict[str, object]
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Checks that tags nest, and collects them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.captions: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "figcaption":
            self.captions.append(data)


def page(config: Config, run: Any) -> str:  # noqa: ANN401
    ledger = analyse(config, run.recorder.items)
    return report_html(summarise(ledger, "fake", "finished"), ledger)


def parsed(html: str) -> Outline:
    outline = Outline()
    outline.feed(html)
    outline.close()
    assert outline.open == []
    return outline


def test_has_every_plot(config: Config, fake_run: Fake) -> None:
    run = fake_run()
    run.whole()
    outline = parsed(page(config, run))
    assert outline.captions == [
        "Round 2 by client and phase (warm-up, nothing pruned)",
        "Round 4 by client and phase (after warm-up)",
        "Round time by phase of its critical path",
        "Accuracy over emulated time",
        "Keep ratio of each straggler",
        "Bytes of each client over the run",
    ]


def test_is_self_contained(config: Config, fake_run: Fake) -> None:
    run = fake_run()
    run.whole()
    html = page(config, run)
    outline = parsed(html)
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    assert not {"src", "href", "srcset"} & {name for name, _ in outline.attributes}
    assert not re.search(r"https?:|url\(|@import", html)


def test_device_names_cannot_inject_markup(config: Config, fake_run: Fake) -> None:
    run = fake_run()
    run.start()
    run.event("client_joined", client=2, device="<script>alert(1)</script>", network='"><b>')
    run.round(1, 0.5)
    run.round(2, 0.6)
    html = page(config, run)
    assert "<script" not in html
    assert '"><b>' not in html
    assert "&lt;script&gt;" in html


def test_an_unstable_run_is_marked(config: Config, fake_run: Fake) -> None:
    run = fake_run(late_s=0.05)
    run.whole()
    html = page(config, run)
    assert "no number below is to be relied on" in html
    assert "UNSTABLE mean" in html


@pytest.mark.parametrize("rounds", [0, 1])
def test_an_early_end_still_makes_a_page(config: Config, fake_run: Fake, rounds: int) -> None:
    run = fake_run()
    run.start()
    for round_ in range(1, rounds + 1):
        run.round(round_, 0.5)
    outline = parsed(page(config, run))
    assert outline.tags.count("svg") == 5 * rounds


def test_a_run_without_config_still_makes_a_page(fake_run: Fake) -> None:
    run = fake_run()
    run.whole()
    assert "svg" in parsed(page({}, run)).tags


@given(bottom=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e9), count=st.integers(2, 10))
def test_ticks_cover_the_data_and_are_few(bottom: float, span: float, count: int) -> None:
    top = bottom + span
    ticks = nice_ticks(top, count, bottom)
    tolerance = 1e-6 * (abs(bottom) + span)
    assert ticks[0] <= bottom + tolerance
    assert ticks[-1] >= top - tolerance
    assert 2 <= len(ticks) <= count + 3
