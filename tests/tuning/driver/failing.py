"""A trial that fails, and the head of a cluster, as far as the fault callback looks at them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from ray import cloudpickle
from ray.exceptions import ActorDiedError, RayTaskError

from tuning.driver.fault_callback import FaultCallback
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage

POINT = {"train.lr": 0.01}


HANG_AFTER = 60.0


STORAGE = Storage.of("s3://bucket", "s")


class Head:
    """The key-value store of Ray's head, the processes that wrote to it, and the time."""

    def __init__(self) -> None:
        self.now, self.known, self.killed = 0.0, {}, []

    def signs(self, trial_id: str, workers: int) -> list[bytes]:
        return [self.known[trial_id]] if trial_id in self.known else []

    def forget(self, trial_id: str, workers: int) -> None:
        self.known.pop(trial_id, None)

    def end_process(self, sign: bytes) -> None:
        self.killed.append(sign)


def faults_of(search: StudySearch, storage: Storage = STORAGE) -> FaultCallback:
    faults = FaultCallback(search, storage, 1, HANG_AFTER)
    faults.setup()
    return faults


class Trial(SimpleNamespace):
    def __init__(self, folder: Path) -> None:
        super().__init__(trial_id="a", status="RUNNING", config=dict(POINT), last_result={"epoch": 2}, folder=folder)
        self.error_file, self.pickled_error_file = str(folder / "error.txt"), None

    def set_config(self, config: dict) -> None:
        self.config = config

    def raises(self, error: Exception) -> Trial:
        Path(self.error_file).write_text(f"Failure # 1\n{type(error).__name__}: {error}\n")
        if isinstance(error, (RayTaskError, ActorDiedError)):
            self.pickled_error_file = str(self.folder / "error.pkl")
            Path(self.pickled_error_file).write_bytes(cloudpickle.dumps(error))
        return self


def in_task(error: Exception) -> RayTaskError:
    return RayTaskError("train", "Traceback", error).as_instanceof_cause()
