"""The settings of an experiment.

- `sections`: the dataclasses data, train, text, backbone, evaluate and their rules; `Experiment` holds them.
- `tree`: experiments as nested dictionaries and YAML.
- `recipes`: named ways to train.
"""

from fame.config.sections import (
    CHANGEABLE,
    SAMPLED_LOSSES,
    BackboneConfig,
    DataConfig,
    EvaluateConfig,
    Experiment,
    ModelConfig,
    TextConfig,
    TrainConfig,
    require,
)

__all__ = [
    "CHANGEABLE",
    "SAMPLED_LOSSES",
    "BackboneConfig",
    "DataConfig",
    "EvaluateConfig",
    "Experiment",
    "ModelConfig",
    "TextConfig",
    "TrainConfig",
    "require",
]
