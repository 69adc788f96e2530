"""The settings of an experiment.

- `ranges`: the numbers that a setting may be.
- `data`: the sections data and data.split.
- `train`: the section train.
- `sections`: the sections text, backbone, evaluate and model, and `Experiment`, which holds all.
- `tree`: experiments as nested dictionaries and YAML.
- `recipes`: named ways to train.
"""

from fame.config.data import DataConfig, SplitConfig
from fame.config.ranges import Count, Fraction, NotNegative, Positive, Range, Rate, Share, require
from fame.config.sections import (
    CHANGEABLE,
    BackboneConfig,
    EvaluateConfig,
    Experiment,
    ModelConfig,
    TextConfig,
)
from fame.config.train import DEFAULT_NEGATIVES, SAMPLED_LOSSES, TrainConfig

__all__ = [
    "CHANGEABLE",
    "DEFAULT_NEGATIVES",
    "SAMPLED_LOSSES",
    "BackboneConfig",
    "Count",
    "DataConfig",
    "EvaluateConfig",
    "Experiment",
    "Fraction",
    "ModelConfig",
    "NotNegative",
    "Positive",
    "Range",
    "Rate",
    "Share",
    "SplitConfig",
    "TextConfig",
    "TrainConfig",
    "require",
]
