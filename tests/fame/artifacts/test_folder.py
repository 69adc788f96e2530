"""Both kinds of folders do what artifacts and leases need of them."""

from __future__ import annotations

import threading

import pytest

from fame.artifacts import Artifact, Folder
from fame.errors import UserError
from tests.fame.artifacts.places import KINDS, artifact, folder_of
from tests.fame.helpers import same_tensors
from tuning.storage import remote_folder


@pytest.fixture(params=KINDS)
def folder(request, tmp_path, monkeypatch) -> Folder:
    monkeypatch.setattr(remote_folder, "SETTLE_SECONDS", 0.05)
    return folder_of(request.param, tmp_path)


def test_small_files(folder):
    assert folder.read("a-1") is None and not folder.rewrite("a-1", "x") and folder.names("") == []
    assert folder.create("a-1", "long text") and not folder.create("a-1", "other")
    assert folder.rewrite("a-1", "short") and folder.read("a-1") == "short"
    folder.create("a-2", ""), folder.create("b-1", "")
    assert sorted(folder.names("a-")) == ["a-1", "a-2"]
    folder.remove("a-1")
    folder.remove("a-1")
    assert folder.names("a-") == ["a-2"]


def test_of_many_that_create_a_file_at_once_one_has(folder):
    barrier, made = threading.Barrier(8), []

    def create(number: int) -> None:
        barrier.wait()
        if folder.create("a", str(number)):
            made.append(str(number))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [folder.read("a")]


def test_artifacts(folder):
    assert Artifact.load(folder, "x.safetensors") is None
    artifact(1.0).save(folder, "x.safetensors")
    artifact(2.0).save(folder, "x.safetensors")
    assert same_tensors(Artifact.load(folder, "x.safetensors").tensors, artifact(2.0).tensors)
    assert folder.names("") == ["x.safetensors"]
    folder.create("y.safetensors", "not one")
    with pytest.raises(UserError):
        folder.load("y.safetensors")
