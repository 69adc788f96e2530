"""A model is pushed and pulled by huggingface_hub's mixin, without a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import HfApi

import fame
import fame.library.hub
from fame.library.hub import HubModel


@pytest.fixture(scope="module")
def best(tmp_path_factory) -> Path:
    """A trained model's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("cache")))
        data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
        model = fame.fit(data, model="fame_memory", epochs=1, dim=16, progress=False)
        return model.save(tmp_path_factory.mktemp("models") / "shop")


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
