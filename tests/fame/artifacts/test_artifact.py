"""An artifact comes back as it was, or is known to be damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.artifacts import Artifact, LocalFolder
from fame.errors import UserError
from tests.fame.artifacts.places import artifact
from tests.fame.helpers import same_tensors


def test_it_comes_back_bit_for_bit_and_the_newest_counts(tmp_path):
    folder = LocalFolder(tmp_path)
    assert Artifact.load(folder, "x.safetensors") is None
    for value in (1.0, 2.0):
        written = artifact(value)
        written.save(folder, "x.safetensors")
        read = Artifact.load(folder, "x.safetensors")
        assert same_tensors(read.tensors, written.tensors)
        assert (read.history, read.seconds) == (written.history, written.seconds)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_one_under_another_name_is_not_that_one(tmp_path):
    artifact().save(LocalFolder(tmp_path), "x.safetensors")
    (tmp_path / "x.safetensors").rename(tmp_path / "y.safetensors")
    with pytest.raises(UserError, match="digest"):
        Artifact.load(LocalFolder(tmp_path), "y.safetensors")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[LocalFolder, bytes]:
    folder = LocalFolder(tmp_path_factory.mktemp("damaged"))
    artifact().save(folder, "x.safetensors")
    return folder, (folder.path / "x.safetensors").read_bytes()


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_changed_bit_is_damage(place, bit, written):
    folder, content = written
    changed = bytearray(content)
    changed[place % len(content)] ^= 1 << bit
    (folder.path / "x.safetensors").write_bytes(changed)
    with pytest.raises(UserError):
        Artifact.load(folder, "x.safetensors")


@given(st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_is_damage(written, share):
    folder, content = written
    (folder.path / "x.safetensors").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError):
        Artifact.load(folder, "x.safetensors")
