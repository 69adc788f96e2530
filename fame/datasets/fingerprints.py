"""Short hashes of what a dataset holds. The same content has the same hash, whatever files it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from fame.datasets.items import TextColumn
from fame.datasets.sequences import Sequences

FINGERPRINT_LENGTH = 16
PIECE = 1 << 20
"""Ids that are Python's texts at a time."""


def content_fingerprint(sequences: Sequences, user_ids: np.ndarray, item_ids: np.ndarray) -> str:
    """Short hash of the content: who did what in which order, and, unless it is leave-one-out, how it is split."""
    digest = hashlib.sha256()
    for array, kind in ((sequences.values, "<i4"), (sequences.offsets, "<i8")):
        digest.update(np.ascontiguousarray(array, kind).data)
    for ids in (item_ids, user_ids):
        digest.update(f"{ids.dtype.kind}{len(ids)}:".encode())
        if ids.dtype.kind == "i":
            digest.update(np.ascontiguousarray(ids, "<i8").data)
        for first in range(0, 0 if ids.dtype.kind == "i" else len(ids), PIECE):
            separator = "\0" if first else ""
            digest.update((separator + "\0".join(ids[first : first + PIECE].tolist())).encode())
    if not sequences.leave_one_out:
        for ends in (sequences.validation, sequences.test):
            digest.update(np.ascontiguousarray(ends, "<i8").data)
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def items_fingerprint(columns: Mapping[str, TextColumn]) -> str:
    """Short hash of the item table's text."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        digest.update(name.encode() + b"\0" + columns[name].offsets.astype("<i8").tobytes())
        digest.update(columns[name].data.tobytes())
    return digest.hexdigest()[:FINGERPRINT_LENGTH]
