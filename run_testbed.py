#!/usr/bin/env python3
"""The front door of the straggler testbed: `python run_testbed.py --help`."""

import sys

from commands.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
