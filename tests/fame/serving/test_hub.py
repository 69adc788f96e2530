"""The folder for the Hugging Face hub: metadata, pushing and pulling by huggingface_hub's mixin, without a network."""

from __future__ import annotations

import json

from huggingface_hub import ModelCard

from fame.export import main
from tests.commands import call


def test_the_card_has_metadata(shop):
    done = call(main, shop, "--hub", "--license", "cc-by-4.0")
    target = shop.with_name("shop-hub")
    assert done.code == 0
    assert done.out == f"wrote   {target}: README.md is the card; push it: hf upload USER/NAME {target}\n"
    card = ModelCard.load(target / "README.md")
    metrics = json.loads((shop / "metrics.json").read_text())
    assert (card.data.license, card.data.library_name) == ("cc-by-4.0", "fame-tuning")
    assert card.data.datasets == ["synthetic"]
    assert card.data.tags == ["recommender-system", "sequential-recommendation", "fame_memory"]
    found = {(one.dataset_split, one.metric_type): one.metric_value for one in card.data.eval_results}
    assert found == {(part, name): value for part in ("test", "validation") for name, value in metrics[part].items()}
    assert card.text.startswith("\n# fame_memory on synthetic")
    files = {path.name for path in target.iterdir()}
    assert files == {"README.md", "config.json", "config.yaml", "items.json", "metrics.json", "model.safetensors"}
    assert not [path for path in target.iterdir() if str(shop.parent).encode() in path.read_bytes()]
