"""The quick checks: what is said of a machine, and what ends a sweep before it starts."""

from __future__ import annotations

import dataclasses
import http.server
import importlib.metadata
import shutil
import threading
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from fame.errors import UserError
from tests.tuning.machines.good_machine import GIB, GOOD, NEEDS
from tuning.machines import checks
from tuning.machines.checks import Machine, Needs, check_disk, check_machine, check_storage, check_tracking
from tuning.plan.options import Options
from tuning.storage.layout import Storage

ROOT = Path(__file__).parents[3]


def levels(machine: Machine) -> dict[str, str]:
    return {finding.check: finding.level for finding in check_machine(machine, NEEDS)}


def test_a_good_machine_has_nothing_to_be_said_of():
    assert levels(GOOD) == dict.fromkeys(["python", "packages", "open files", "shared memory", "disk"], "ok")


@pytest.mark.parametrize(
    ("change", "check", "level", "words"),
    [
        ({"python": "3.10.4"}, "python", "failure", "Python 3.10.4 does not fit >=3.11"),
        ({"open_files": 1024}, "open files", "warning", "ulimit -n 65536"),
        ({"shared_memory": 64 << 20}, "shared memory", "warning", "--shm-size"),
        ({"disk_free": 1 << 20}, "disk", "failure", "nothing can be written"),
        ({"disk_free": GIB}, "disk", "warning", "1.0 GiB free of 100.0 GiB at /tmp"),
        ({"disk_free": 4 * GIB}, "disk", "warning", "more than 95% full"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(change, check, level, words):
    (finding,) = [f for f in check_machine(dataclasses.replace(GOOD, **change), NEEDS) if f.check == check]
    assert finding.level == level
    assert finding.advice
    assert words in str(finding)
    assert "\n" not in str(finding)


@pytest.mark.parametrize(
    ("package", "version", "level"),
    [
        ("torch", None, "failure"),
        ("optuna", "4.9.0", "failure"),
        ("ray", "2.61.0", "failure"),
        ("mlflow", "4.0.0", "failure"),
        ("ray", "2.60.3", "ok"),
        ("torch", "2.12.0+cu130", "ok"),  # what is built for a CUDA fits like what is not
        ("transformers", None, "warning"),  # sweeps without text run without it
    ],
)
def test_versions_are_compared_with_the_ranges_of_the_project(package, version, level):
    machine = dataclasses.replace(GOOD, packages={**GOOD.packages, package: version})
    found = [f for f in check_machine(machine, NEEDS) if f.check == "packages"]
    assert [f.level for f in found] == [level]
    assert level == "ok" or f"{package} {version or 'is missing'}" in str(found[0])


def test_every_pinned_version_is_in_its_range():
    """`requirements.txt` is what was tested, `pyproject.toml` says what fits: all of the first, and nothing else."""
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    pins = {r.name: next(iter(r.specifier)).version for r in map(Requirement, lines)}
    assert pins.keys() == NEEDS.packages.keys()
    for name, version in pins.items():
        assert version in NEEDS.packages[name][0].specifier, name


def test_an_installed_project_declares_the_same(monkeypatch, tmp_path):
    """Without the source tree beside it, the ranges come from the distribution's metadata."""
    lines = ["numpy>=2.0", 'pandas>=3.0; extra == "data"', 'transformers>=5.0; extra == "text"']
    meta = "Metadata-Version: 2.1\nName: fame-tuning\nVersion: 1\nRequires-Python: >=3.11\n"
    folder = tmp_path / "fame_tuning-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(meta + "".join(f"Requires-Dist: {line}\n" for line in lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(checks, "SOURCES", tmp_path)
    needs = Needs.declared()
    assert str(needs.python) == ">=3.11"
    assert {name: needed for name, (_, needed) in needs.packages.items()} == {
        "numpy": True, "pandas": True, "transformers": False,
    }  # fmt: skip


def test_the_disk_of_a_folder_that_ray_will_make_is_that_of_the_one_above(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "not" / "yet"))
    machine = Machine.here([])
    assert machine.disk == str(tmp_path / "not" / "yet")
    assert machine.disk_bytes == shutil.disk_usage(tmp_path).total


def test_this_machine_is_found():
    machine = Machine.here(["torch", "no-such-package"])
    assert machine.packages["no-such-package"] is None
    assert machine.packages["torch"] == importlib.metadata.version("torch")
    assert machine.disk_bytes >= machine.disk_free > 0
    assert machine.code == checks.code_hash()


def test_other_code_has_another_hash(monkeypatch, tmp_path):
    import tuning

    (tmp_path / "a.py").write_text("1")
    monkeypatch.setattr(tuning, "__path__", [str(tmp_path)])
    first = checks.code_hash()
    (tmp_path / "a.py").write_text("2")
    assert checks.code_hash() != first
    (tmp_path / "a.py").write_text("1")
    assert checks.code_hash() == first


def test_a_storage_is_looked_at_and_left_as_it_was(tmp_path):
    assert {f.level for f in check_storage(str(tmp_path / "runs"))} <= {"ok", "warning"}
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    (finding,) = check_storage(str(tmp_path / "file" / "below"))
    assert finding.level == "failure"
    assert "cannot write there" in str(finding)


def test_a_small_disk_is_not_full():
    """A tenth of a large disk is room enough, and so is nearly all of a small one."""
    assert check_disk("disk", "/", 10 * GIB, 100 * GIB).level == "ok"
    assert check_disk("disk", "/", 3 * GIB, 4 * GIB).level == "ok"


@pytest.fixture
def refusing():
    """A server that takes no request for its host name, as MLflow's does for one that it was not told of."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403, "Invalid Host header")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://user:secret@127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_refuses_is_a_failure_without_its_password(refusing):
    finding = check_tracking(refusing, asks=True)
    assert finding.level == "failure"
    assert "cannot be used" in str(finding)
    assert "--allowed-hosts" in str(finding)
    assert "secret" not in str(finding)
    assert check_tracking(refusing, asks=False).level == "ok"


def test_failures_end_a_sweep_and_warnings_do_not(monkeypatch, capsys, tmp_path):
    options = Options(storage=str(tmp_path), tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    machine = dataclasses.replace(GOOD, open_files=1024)
    monkeypatch.setattr(Machine, "here", lambda *args, **kwargs: machine)
    checks.before_sweep(options, "own", Storage.of(options.storage, "mine"))
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out.startswith("warning: 1,024 open files allowed; Ray needs 4,096")
    machine = dataclasses.replace(GOOD, python="3.10.0", packages={**GOOD.packages, "optuna": None})
    with pytest.raises(UserError) as caught:
        checks.before_sweep(options, "own", Storage.of(options.storage, "mine"))
    assert str(caught.value).startswith("Python 3.10.0 does not fit >=3.11")
    assert str(caught.value).endswith("(and 1 more: python -m cluster.doctor)")
