"""The results page of the CLIP study, from finished comparisons.

python -m benchmarks.results_clip out/clip-femnist out/severity ... --page docs/results-clip.md
"""

import sys
from pathlib import Path

from benchmarks import results_tables
from benchmarks.results_page import Page

PAGE = Page(
    Path(__file__).parent / "results_clip.md",
    "The results page of the CLIP study, from finished comparisons.",
    results_tables.of_study,
    results_tables.charts,
)

if __name__ == "__main__":
    sys.exit(PAGE.main(sys.argv[1:]))
