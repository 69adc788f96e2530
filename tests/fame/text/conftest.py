"""A tiny BERT with random weights, and datasets with text."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fame.config import DataConfig
from fame.datasets import Dataset, load_dataset
from fame.datasets.synthetic import label_word

WORDS = ["a", "and", "item", "red", "green", "blue", "shoe", "hat", "##s", ".", ","]


def save_tiny_bert(folder: Path, seed: int = 0, layers: int = 1) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True)
    labels = [label_word(facet, label) for facet in range(2) for label in range(8)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *labels]
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=48,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=300,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an encoder."""
    return save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Datasets and vectors of a test are its own."""
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def synthetic() -> Dataset:
    """Items with two known facets of eight labels, which their text names."""
    return load_dataset(DataConfig(name="synthetic", size={"users": 30, "items": 240}), report=lambda line: None)
