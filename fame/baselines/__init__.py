"""Published models to compare FAME with, one file each; importing this package registers them."""

from fame.baselines import bsarec

__all__ = ["bsarec"]
