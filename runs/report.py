"""report.html: a run on one page that needs nothing else. Knows the summary and the rows."""

import html
import json
from collections.abc import Mapping

from protocol.telemetry import Json
from runs.ledger import Ledger


def report_html(summary: Mapping[str, Json], ledger: Ledger) -> str:
    """The whole page."""
    rounds = "".join(f"<li>round {r.round}: {r.round_s} s</li>" for r in ledger.ordered())
    text = html.escape(json.dumps(summary, indent=2))
    return f"<!doctype html><title>run</title><ol>{rounds}</ol><pre>{text}</pre>"
