"""FAME: facet-aware multi-head mixture-of-experts for sequential recommendation."""

import sys

__version__ = "0.2.0"

if sys.argv[:1] == ["-m"]:  # Python looks for the module of `python -m fame.…`, and imports this package on the way
    from fame.interrupts import end_at_once

    end_at_once()
