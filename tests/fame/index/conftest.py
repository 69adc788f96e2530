"""A folder with a model of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fame.artifacts.checkpoint import save_checkpoint
from fame.config import Experiment
from fame.config.tree import experiment_from_dict
from fame.models.fame import Fame


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, Experiment]:
    """A folder with weights and catalogue as a training leaves them; random weights do for recommending."""
    import json

    from fame.config.tree import to_dict, write_yaml

    settings = experiment_from_dict({"model": {"name": "fame", "dim": 16}, "data": {"max_length": 8}})
    torch.manual_seed(0)
    model = Fame(settings.model, 500, 8)
    header = {"model": "fame", "item_count": 500, "max_length": 8, "facets": []}
    save_checkpoint(tmp_path / "model.safetensors", model.state_dict(), header)
    (tmp_path / "config.yaml").write_text(write_yaml(to_dict(settings)))
    ids = [f"i{number}" for number in range(500)]
    (tmp_path / "items.json").write_text(json.dumps({"ids": ids, "titles": ids, "counts": [1] * 500}))
    return tmp_path, settings
