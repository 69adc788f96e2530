"""A text is encoded once, whatever happens to the cache or to other processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fame.text import cache
from fame.text.cache import text_vectors
from tests.fame.helpers import CPU
from tests.fame.text.conftest import save_tiny_bert


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def vectors(tiny_bert, lines):
    return lambda texts, encoder=tiny_bert: text_vectors(texts, str(encoder), CPU, lines.append)


def test_the_second_call_is_a_hit(vectors, monkeypatch):
    first = vectors(["a hat", "a shoe", "a hat"])
    assert first.encoded == 2
    monkeypatch.setattr(cache, "Encoder", None)  # nothing is loaded for a hit
    second = vectors(["a shoe", "a hat"])
    assert second.encoded == 0
    assert torch.equal(second.vectors, first.vectors[[1, 0]])
    assert torch.equal(first.vectors[0], first.vectors[2])


def test_only_new_texts_are_encoded(vectors):
    vectors(["a hat", "a shoe"])
    assert vectors(["a shoe", "red", "a hat", "blue"]).encoded == 2
    assert vectors(["blue", "a shoe"]).encoded == 0


def test_another_encoder_has_vectors_of_its_own(vectors, tmp_path):
    first = vectors(["a hat"])
    second = vectors(["a hat"], save_tiny_bert(tmp_path / "other", seed=1))
    assert second.encoded == 1
    assert not torch.allclose(first.vectors, second.vectors)


def test_another_layer_has_vectors_of_its_own(tmp_path):
    folder = str(save_tiny_bert(tmp_path / "deep", layers=2))
    first, second = (text_vectors(["a hat"], folder, CPU, print, skip) for skip in (0, 1))
    assert second.encoded == 1
    assert not torch.allclose(first.vectors, second.vectors)


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_segment_is_encoded_again(vectors, own_cache, lines, damage):
    first = vectors(["a hat", "a shoe"])
    (path,) = own_cache.glob("text/*/*.safetensors")
    path.write_bytes(path.read_bytes()[:-7] if damage is None else damage)
    again = vectors(["a shoe", "a hat"])
    assert again.encoded == 2 and "damaged" in lines[0]
    torch.testing.assert_close(again.vectors, first.vectors[[1, 0]])
    assert vectors(["a shoe", "a hat"]).encoded == 0


def test_what_a_killed_process_left_is_not_read(vectors, own_cache):
    vectors(["a hat"])
    (path,) = own_cache.glob("text/*/*.safetensors")
    path.rename(path.with_name(f".{path.name}.tmp"))
    assert vectors(["a hat"]).encoded == 1


def test_what_was_encoded_before_an_interruption_is_kept(vectors, monkeypatch):
    texts = ["a hat", "a shoe", "red", "blue", "green"]
    monkeypatch.setattr(cache, "SEGMENT_TEXTS", 2)
    encode, calls = cache.Encoder.encode, []

    def interrupted(self, part, title):
        calls.append(part)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(self, part, title)

    with monkeypatch.context() as patch:
        patch.setattr(cache.Encoder, "encode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            vectors(texts)
    rest = vectors(texts)
    assert rest.encoded == 1
    assert torch.equal(vectors(texts).vectors, rest.vectors)


@pytest.mark.slow
def test_two_processes_at_once_encode_once(tiny_bert, own_cache):
    code = (
        "import sys, torch\nfrom fame.text.cache import text_vectors\n"
        "texts = [f'a red hat and {i}' for i in range(300)]\n"
        "print(text_vectors(texts, sys.argv[1], torch.device('cpu'), lambda line: None).encoded)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tiny_bert)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sorted(int(process.communicate()[0]) for process in running) == [0, 300]
