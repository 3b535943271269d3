"""The results page of FedSparsify, alone and with CLIP, from finished comparisons.

python -m benchmarks.results_fedsparsify out/... --page docs/results-fedsparsify.md
"""

import sys
from pathlib import Path

from benchmarks import results_sparsity
from benchmarks.results_page import Page

PAGE = Page(
    Path(__file__).parent / "results_fedsparsify.md",
    "The results page of FedSparsify, alone and with CLIP, from finished comparisons.",
    results_sparsity.of_study,
    results_sparsity.charts,
)

if __name__ == "__main__":
    sys.exit(PAGE.main(sys.argv[1:]))
