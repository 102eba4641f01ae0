"""`python -m polyvm`, and the same as a file: polyvm.run starts it by its path, which saves the search for -m."""

from __future__ import annotations

import os
import sys

if not __package__:
    # Started by path: the folder that holds the package takes the place of the package's own.
    package = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != package]
    sys.path.insert(0, os.path.dirname(package))

from polyvm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
