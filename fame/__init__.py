"""FAME: facet-aware multi-head mixture-of-experts for sequential recommendation."""

__version__ = "0.2.0"
