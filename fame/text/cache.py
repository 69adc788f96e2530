"""Text vectors on disk: a text is encoded once per encoder, whichever dataset or process asks.

`$FAME_DATA/text/<encoder>/` holds segments that are never changed: the vectors of texts that one call
had to encode, under the hashes of the texts. A segment is whole or not there; one that was
damaged later is removed, and its texts are encoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.datasets.cache import cache_root, locked, writable
from fame.datasets.entry import Report
from fame.errors import UserError
from fame.text.encoder import Encoder, encoder_folder, encoder_identity

HASH_BYTES = 16
SEGMENT_TEXTS = 1 << 15
"""Most texts of a segment."""


@dataclass(frozen=True, kw_only=True)
class EncodedTexts:
    """Counts of what a call of `text_vectors` did."""

    vectors: Tensor
    """[number of texts, E], float32 on the CPU."""
    encoded: int
    """Distinct texts that had to be encoded; the others came from the cache."""


def text_vectors(
    texts: Sequence[str], encoder: str, device: torch.device, report: Report, skip_layers: int = 0
) -> EncodedTexts:
    """Vectors of the texts, from the cache or encoded and kept there."""
    folder = encoder_folder(encoder)
    identity = encoder_identity(folder, skip_layers)
    keys = [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=HASH_BYTES).digest() for text in texts]
    store = VectorStore(cache_root() / "text" / identity)
    store.read(report)
    missing: dict[bytes, str] = {}
    if not store.row.keys() >= set(keys):
        with locked(f"text-{identity}", report):
            store.read(report)  # another process may have encoded them meanwhile
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in store.row}
            if missing:
                store.encode(missing, Encoder(folder, device, skip_layers))
    return EncodedTexts(vectors=store.vectors[[store.row[key] for key in keys]], encoded=len(missing))


class VectorStore:
    """The segments of one encoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.row: dict[bytes, int] = {}
        """Row of `vectors` of each text's hash."""
        self.vectors = torch.empty(0)

    def read(self, report: Report) -> None:
        """Read all segments. A damaged one is removed."""
        self.row, self.vectors = {}, torch.empty(0)
        for path in sorted(self.folder.glob("[!.]*.safetensors")):
            try:
                tensors, _ = load_checkpoint(path)
                self._add(tensors["keys"].numpy().tobytes(), tensors["vectors"])
            except (UserError, KeyError):
                report(f"text vectors in {path} are damaged: encoding these texts again")
                path.unlink(missing_ok=True)

    def encode(self, missing: dict[bytes, str], encoder: Encoder) -> None:
        """Encode texts and keep them, a segment at a time: what is done stays, whatever happens then."""
        hashes = list(missing)
        for start in range(0, len(hashes), SEGMENT_TEXTS):
            part = hashes[start : start + SEGMENT_TEXTS]
            vectors = encoder.encode([missing[key] for key in part], f"encoding {start:,} of {len(hashes):,} on")
            joined = b"".join(part)
            keys = torch.frombuffer(bytearray(joined), dtype=torch.uint8)
            with writable():
                name = f"{hashlib.sha256(joined).hexdigest()[:16]}.safetensors"
                save_checkpoint(self.folder / name, {"keys": keys, "vectors": vectors}, {})
            self._add(joined, vectors)

    def _add(self, joined: bytes, vectors: Tensor) -> None:
        rows = range(len(self.vectors), len(self.vectors) + len(vectors))
        keys = (joined[i : i + HASH_BYTES] for i in range(0, len(joined), HASH_BYTES))
        self.row |= zip(keys, rows, strict=True)
        self.vectors = torch.cat([self.vectors, vectors]) if len(self.vectors) else vectors
