from __future__ import annotations

from pathlib import Path

import pytest

from fame.artifacts import LocalFolder, StageRecipe, claim
from fame.artifacts.lease import Lease
from fame.runtime.parallel import Workers
from tests.fame.helpers import CPU
from tuning.trial import pulse
from tuning.trial.pulse import SHARE, BeatingFolder, Pulse


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, int]]:
    """The writes to Ray's head: keys, and the number of the sign."""
    written: list[tuple[bytes, int]] = []

    def put(key: bytes, value: bytes, **options: object) -> None:
        written.append((key, pulse.cloudpickle.loads(value)[0]))

    monkeypatch.setattr(pulse.key_value, "put", put)
    monkeypatch.setattr(pulse.key_value, "remove", lambda key: written.append((key, -1)))
    monkeypatch.setattr(pulse.ray, "get_runtime_context", lambda: type("Context", (), {"current_actor": None}))
    return written


def test_signs_are_few_and_end_with_the_training(store: list, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: now[0])
    one = Pulse("t", 1, 80.0)
    for _ in range(100):
        one.beat()
        now[0] += 1
    assert store == [(b"t/1", count + 1) for count in range(10)] and 80 / SHARE == 10
    one.end()
    assert store[-1] == (b"t/1", -1)


def test_none_are_given_unless_asked_for(store: list) -> None:
    one = Pulse("t", 0, 0)
    one.beat()
    one.end()
    assert not store


class Counting(Pulse):
    def __init__(self) -> None:
        super().__init__("t", 0, 0)

    def beat(self) -> None:
        self.count += 1


def test_waiting_for_a_stage_is_a_sign_of_life_and_renewing_a_lease_is_none(tmp_path: Path) -> None:
    recipe = StageRecipe(stage="backbone", version=1, settings={})
    owner, waiting = Counting(), Counting()
    workers = Workers(device=CPU)
    with claim(BeatingFolder(LocalFolder(tmp_path), owner), recipe, workers) as one:
        seen = owner.count
        one.lease.folder.rewrite(one.lease._file, "still there")
        assert owner.count == seen and not one.shared
        other = claim_once(tmp_path, recipe, waiting, workers)
        first = waiting.count
        assert not other._is_settled() and not other._is_settled()
        assert waiting.count >= first + 2


def claim_once(folder: Path, recipe: StageRecipe, one: Pulse, workers: Workers):
    from fame.artifacts.claims import Claim

    claim = Claim(BeatingFolder(LocalFolder(folder), one), recipe, workers)
    assert isinstance(claim.lease, Lease)
    return claim
