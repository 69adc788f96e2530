"""Published models to compare FAME with, one file each; importing this package registers them."""

from fame.baselines import atten_mixer, bsarec, core, gru4rec

__all__ = ["atten_mixer", "bsarec", "core", "gru4rec"]
