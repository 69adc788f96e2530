"""The folder for the Hugging Face hub: metadata, pushing and pulling by huggingface_hub's mixin, without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import HfApi, ModelCard

import fame
import fame.library.hub
from fame.export import main
from fame.library.hub import HubModel
from tests.commands import call


@pytest.fixture(scope="module")
def best(tmp_path_factory) -> Path:
    """A trained model's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("cache")))
        data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
        model = fame.fit(data, model="fame_memory", epochs=1, dim=16, progress=False)
        return model.save(tmp_path_factory.mktemp("models") / "shop")


def test_the_card_has_metadata(best):
    done = call(main, best, "--hub", "--license", "cc-by-4.0")
    target = best.with_name("shop-hub")
    assert done.code == 0
    assert done.out == f"wrote   {target}: README.md is the card; push it: hf upload USER/NAME {target}\n"
    card = ModelCard.load(target / "README.md")
    metrics = json.loads((best / "metrics.json").read_text())
    assert (card.data.license, card.data.library_name) == ("cc-by-4.0", "fame-tuning")
    assert card.data.datasets == ["synthetic"]
    assert card.data.tags == ["recommender-system", "sequential-recommendation", "fame_memory"]
    found = {(one.dataset_split, one.metric_type): one.metric_value for one in card.data.eval_results}
    assert found == {(part, name): value for part in ("test", "validation") for name, value in metrics[part].items()}
    assert card.text.startswith("\n# fame_memory on synthetic")
    files = {path.name for path in target.iterdir()}
    assert files == {"README.md", "config.json", "config.yaml", "items.json", "metrics.json", "model.safetensors"}
    assert not [path for path in target.iterdir() if str(best.parent).encode() in path.read_bytes()]


def test_a_model_is_pushed_and_pulled(best, tmp_path, monkeypatch):
    hub = tmp_path / "hub"

    def upload(self: HfApi, *, repo_id: str, folder_path: Path, **options: object) -> str:
        shutil.copytree(folder_path, hub / repo_id)
        return repo_id

    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **options: SimpleNamespace(repo_id=repo_id))
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    monkeypatch.setattr(fame.library.hub, "snapshot_download", lambda repo_id, **options: hub / repo_id)
    monkeypatch.setattr(
        huggingface_hub.hub_mixin, "hf_hub_download", lambda repo_id, filename, **options: hub / repo_id / filename
    )
    model = HubModel(best)
    assert model.push_to_hub("me/shop") == "me/shop"
    pulled = HubModel.from_pretrained("me/shop")
    assert pulled.recommend(histories=[[3, 4]]).equals(model.recommend(histories=[[3, 4]]))
    saved = HubModel.from_pretrained(hub / "me" / "shop").save_pretrained(tmp_path / "saved")
    assert saved is None and (tmp_path / "saved" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "export as what? Give --torch-export, --onnx, --hub, or --items"),
        (["--onnx", "--out", "x"], "--out and --license are those of --hub; give --hub, too"),
        (["--hub"], "nowhere holds no exported model (no model.safetensors); give the folder that a training wrote"),
        (["--onnx"], "nowhere holds no exported model (no model.safetensors); give the folder that a training wrote"),
    ],
)
def test_mistakes_are_one_line(options, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(main, "nowhere", *options)
    assert (done.code, done.err) == (2, f"error: {line}\n")
    assert not list(tmp_path.iterdir())
