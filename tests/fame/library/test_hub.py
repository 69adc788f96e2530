"""A model is pushed and pulled by huggingface_hub's mixin, without a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
from huggingface_hub import HfApi

import fame
import fame.library.hub
from fame.library.hub import HubModel


def test_a_model_is_pushed_and_pulled(shop, tmp_path, monkeypatch):
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
    model = HubModel(shop)
    assert model.push_to_hub("me/shop") == "me/shop"
    pulled = HubModel.from_pretrained("me/shop")
    assert pulled.recommend(histories=[[3, 4]]).equals(model.recommend(histories=[[3, 4]]))
    saved = HubModel.from_pretrained(hub / "me" / "shop").save_pretrained(tmp_path / "saved")
    assert saved is None and (tmp_path / "saved" / "model.safetensors").exists()
