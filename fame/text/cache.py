"""Text vectors on disk: a text is encoded once per encoder, whichever dataset or process asks.

`$FAME_DATA/text/<encoder>/` holds segments that are never changed: the vectors of the texts that one
call had to encode, under the hashes of the texts. A segment is whole or not there; one that was
damaged later is removed, and its texts are encoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fame.checkpoint import load_checkpoint, save_checkpoint
from fame.datasets.cache import cache_root, locked, writable
from fame.datasets.entry import Report
from fame.errors import UserError
from fame.text.encoder import Encoder, encoder_folder, encoder_identity

HASH_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class TextVectors:
    """What a call of `text_vectors` did."""

    vectors: Tensor
    """[number of texts, E], float32 on the CPU."""
    encoded: int
    """Distinct texts that had to be encoded; the others came from the cache."""


def text_vectors(texts: Sequence[str], encoder: str, device: torch.device, report: Report) -> TextVectors:
    """Vectors of the texts, from the cache or encoded and kept there."""
    folder = encoder_folder(encoder)
    identity = encoder_identity(folder)
    keys = [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=HASH_BYTES).digest() for text in texts]
    store = cache_root() / "text" / identity
    known = _read(store, report)
    if not known.keys() >= set(keys):
        with locked(f"text-{identity}", report):
            known = _read(store, report)  # another process may have encoded them meanwhile
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
            known |= _encode(missing, store, lambda: Encoder(folder, device))
    else:
        missing = {}
    return TextVectors(vectors=torch.stack([known[key] for key in keys]), encoded=len(missing))


def _encode(missing: dict[bytes, str], store: Path, load: Callable[[], Encoder]) -> dict[bytes, Tensor]:
    """Encode the texts and keep them as one segment, named after their hashes."""
    if not missing:
        return {}
    vectors = load().encode(list(missing.values()))
    joined = b"".join(missing)
    keys = torch.frombuffer(bytearray(joined), dtype=torch.uint8).view(-1, HASH_BYTES)
    path = store / f"{hashlib.sha256(joined).hexdigest()[:16]}.safetensors"
    with writable():
        save_checkpoint(path, {"keys": keys, "vectors": vectors}, {})
    return dict(zip(missing, vectors, strict=True))


def _read(store: Path, report: Report) -> dict[bytes, Tensor]:
    """All segments. A damaged one is removed."""
    found: dict[bytes, Tensor] = {}
    for path in sorted(store.glob("[!.]*.safetensors")):
        try:
            tensors, _ = load_checkpoint(path)
            keys = tensors["keys"].numpy().tobytes()
            rows = range(0, len(keys), HASH_BYTES)
            found |= {keys[i : i + HASH_BYTES]: v for i, v in zip(rows, tensors["vectors"], strict=True)}
        except (UserError, KeyError, ValueError):
            report(f"text vectors in {path} are damaged: encoding these texts again")
            path.unlink(missing_ok=True)
    return found
