"""Models on the Hugging Face hub: `fame.library.hub.HubModel`, a `Model` that is pushed and pulled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, snapshot_download

from fame.datasets import Dataset
from fame.library.model import Model, load
from fame.serving.hub import write_hub_files


class HubModel(Model, ModelHubMixin):
    """A trained model with huggingface_hub's `save_pretrained`, `push_to_hub` and `from_pretrained`.

    HubModel("runs/NAME/best").push_to_hub("me/shop")
    HubModel.from_pretrained("me/shop").recommend(histories=[["SKU-1", "SKU-2"]])

    The hub gets the weights, the catalogue and the card. It gets no histories of users and no paths of this machine.
    """

    def __init__(self, folder: str | Path, data: Dataset | None = None, licence: str = "other") -> None:
        super().__init__(load(folder).folder, data)
        self.licence = licence

    def _save_pretrained(self, save_directory: Path) -> None:
        write_hub_files(self.folder, save_directory, self.licence)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> HubModel:
        if Path(model_id).is_dir():
            return cls(model_id)
        known = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        return cls(snapshot_download(model_id, **{key: options[key] for key in known if key in options}))
