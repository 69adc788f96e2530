"""One of several claimants computes an artifact, and the others get its result."""

from __future__ import annotations

import threading
import time

import pytest

from fame.artifacts import Artifact, LocalFolder, StageRecipe, claims
from fame.artifacts.claims import claim
from fame.runtime.parallel import Workers
from tests.fame.artifacts.places import artifact
from tests.fame.helpers import CPU

A = StageRecipe(stage="a", version=1, settings={})
FILE = f"a-{A.key(Workers(device=CPU))}.safetensors"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(claims, "POLL_SECONDS", 0.02)


def test_one_computes_and_the_others_wait_for_it(tmp_path, single, caplog):
    computed, found, barrier = [], [], threading.Barrier(5)

    def need() -> None:
        barrier.wait()
        with claim(LocalFolder(tmp_path), A, single) as one:
            if one.found is None:
                time.sleep(0.3)
                computed.append(one.waited)
                one.keep(artifact(3.0))
            else:
                found.append((one.found.tensors["a"][0, 0].item(), one.waited > 0))

    threads = [threading.Thread(target=need) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed == [0.0] and found == [(3.0, True)] * 4
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert sum("waiting for it" in message for message in caplog.messages) == 4


def test_who_fails_leaves_it_to_the_next_one(tmp_path, single):
    with pytest.raises(ArithmeticError), claim(LocalFolder(tmp_path), A, single):
        raise ArithmeticError
    with claim(LocalFolder(tmp_path), A, single) as one:
        assert one.found is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_one_is_discarded_with_one_message_and_computed_again(tmp_path, single, caplog):
    folder = LocalFolder(tmp_path)
    artifact(1.0).save(folder, FILE)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with claim(folder, A, single) as one:
        assert one.found is None and one.rebuilds
        assert not path.exists()
        one.keep(artifact(2.0))
    with claim(folder, A, single) as one:
        assert one.found.tensors["a"][0, 0] == 2 and not one.rebuilds
    (message,) = caplog.messages
    assert message.startswith(f"{FILE} is damaged (") and message.endswith("discarded and computed again")


def test_what_is_computed_between_two_looks_is_not_computed_again(tmp_path, single, monkeypatch):
    folder, load = LocalFolder(tmp_path), Artifact.load
    artifact().save(folder, FILE)
    answers = iter([lambda *_: None])
    monkeypatch.setattr(Artifact, "load", lambda *args: next(answers, load)(*args))
    with claim(folder, A, single) as one:
        assert one.found is not None
        assert folder.names("a-") == [FILE]
