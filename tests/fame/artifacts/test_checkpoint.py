"""Checkpoints are whole or not there, and damaged ones are said to be damaged."""

from __future__ import annotations

import errno
import os
import re
import tracemalloc

import numpy as np
import pytest
import safetensors.torch
import torch

from benchmarks.harness import peak_memory
from fame.artifacts.checkpoint import (
    DTYPES,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
    with_prefix,
    without_prefix,
    write_tensors,
)
from fame.errors import UserError
from tests.fame.helpers import same_tensors

TENSORS = {
    "model.a": torch.arange(6.0).view(2, 3),
    "step": torch.tensor(3),
    "half": torch.ones(4, dtype=torch.bfloat16),
}
HEADER = {"history": [{"loss": 0.1, "epoch": 1}], "stage": 0, "name": "Größe"}


def test_tensors_and_header_come_back_as_they_were(tmp_path):
    path = tmp_path / "not" / "yet" / "there" / "c.safetensors"
    save_checkpoint(path, TENSORS, HEADER)
    tensors, header = load_checkpoint(path)
    assert header == HEADER
    assert same_tensors(tensors, TENSORS)
    assert {key: value.dtype for key, value in tensors.items()} == {key: value.dtype for key, value in TENSORS.items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_library_reads_every_kind_of_number(dtype, tmp_path):
    tensors = {
        "a": torch.arange(12).view(3, 4).to(dtype),
        "none": torch.empty(0, 3, dtype=dtype),
        "one": torch.ones((), dtype=dtype),
    }
    write_tensors(tmp_path / "c", {"byte": torch.ones(3, dtype=torch.uint8), **tensors}, {"k": "ü"})
    assert same_tensors(
        {key: value for key, value in safetensors.torch.load_file(tmp_path / "c").items() if key != "byte"}, tensors
    )


def test_writing_copies_no_tensor(tmp_path):
    """Ten tensors of 8 MB: the library's own way takes 160 MB more."""
    tensors = {str(number): torch.zeros(1 << 20, dtype=torch.float64) for number in range(10)}
    tracemalloc.start()
    before = peak_memory()
    save_checkpoint(tmp_path / "c", tensors, {})
    assert tracemalloc.get_traced_memory()[1] < 1 << 20 and peak_memory() - before < 20 << 20
    tracemalloc.stop()


def test_tensors_that_share_memory_or_are_views_can_be_saved(tmp_path):
    whole = torch.arange(12.0).view(3, 4)
    save_checkpoint(tmp_path / "c", {"whole": whole, "turned": whole.T, "row": whole[1]}, {})
    tensors, _ = load_checkpoint(tmp_path / "c")
    assert same_tensors(tensors, {"whole": whole, "turned": whole.T, "row": whole[1]})


def test_a_crash_while_writing_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, TENSORS, HEADER)

    def dies_halfway(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", dies_halfway)
    with pytest.raises(OSError, match=r"No space.*c\.safetensors"):
        save_checkpoint(path, {"other": torch.zeros(2)}, {"other": 1})
    assert load_checkpoint(path)[1] == HEADER
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_state_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, replace = tmp_path / "c.safetensors", os.replace
    save_checkpoint(path, TENSORS, HEADER)
    seen = []

    def watched_replace(source, target):
        seen.append(load_checkpoint(path)[1])
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched_replace)
    save_checkpoint(path, TENSORS, {"new": 1})
    assert seen == [HEADER]
    assert load_checkpoint(path)[1] == {"new": 1}


def damaged(path, how: str) -> None:
    save_checkpoint(path, TENSORS, HEADER)
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "random":
        path.write_bytes(np.random.default_rng(0).bytes(10_000))
    elif how == "text":
        path.write_text("data: {name: beauty}\n" * 100)
    elif how == "without a header":
        safetensors.torch.save_file({"a": torch.ones(2)}, path)
    elif how == "header not JSON":
        safetensors.torch.save_file({"a": torch.ones(2)}, path, metadata={"header": "{"})
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content[: int(len(content) * float(how))])


@pytest.mark.parametrize(
    "how",
    ["empty", "random", "text", "without a header", "header not JSON", "folder", "0.01", "0.3", "0.6", "0.9", "0.999"],
)
def test_a_damaged_or_foreign_file_is_one_clear_line(how, tmp_path):
    path = tmp_path / "c.safetensors"
    damaged(path, how)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))} is not a checkpoint of this program, or is damaged"):
        load_checkpoint(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=f"no such checkpoint: {re.escape(str(tmp_path / 'c'))}"):
        load_checkpoint(tmp_path / "c")


def test_prefixes_are_put_on_and_taken_off():
    tensors = {"a": torch.ones(1), "b.c": torch.zeros(1)}
    merged = {**with_prefix("x.", tensors), **with_prefix("y.", {"a": torch.ones(2)})}
    assert same_tensors(without_prefix("x.", merged), tensors)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_an_optimiser_goes_on_from_its_saved_state_as_if_never_stopped(kind, tmp_path):
    def steps(weight: torch.Tensor, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (weight**3).sum().backward()
            optimizer.step()

    weight = torch.linspace(-1, 1, 5, requires_grad=True)
    optimizer = kind([weight], lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {"fused": True}))
    steps(weight, optimizer, 3)
    save_checkpoint(tmp_path / "c", {"weight": weight, **optimizer_tensors(optimizer)}, {})
    steps(weight, optimizer, 3)

    tensors, _ = load_checkpoint(tmp_path / "c")
    again = tensors.pop("weight").requires_grad_()
    resumed = kind([again], lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {"fused": True}))
    restore_optimizer(resumed, tensors)
    steps(again, resumed, 3)
    assert torch.equal(again, weight)
    assert same_tensors(optimizer_tensors(resumed), optimizer_tensors(optimizer))
