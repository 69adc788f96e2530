"""The doctor's findings about the nodes' answers; `test_hosts.py` has real nodes."""

from __future__ import annotations

import dataclasses
import time

import pytest
import ray

from cluster import nodes as nodes_module
from cluster.checks import (
    check_answers,
    check_auth,
    check_clocks,
    check_gpus,
    check_machines,
    check_object_stores,
    check_shared,
    clock_skews,
    merge,
)
from cluster.node import Gpus, Probe
from cluster.nodes import Node, Nodes
from tests.tuning.machines.good_machine import GOOD, NEEDS
from tests.tuning.object_stores import BUCKET, s3_server
from tuning.machines.checks import Finding

HEAD, ONE, TWO = (
    Node(id=f"id-{name}", name=name, address=f"10.0.0.{i}", gpus=0, object_store=1 << 30)
    for i, name in enumerate(["head", "one", "two"], start=1)
)
TRIO = [HEAD, ONE, TWO]


def said(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.level, f.check, str(f)) for f in findings if f.level != "ok"]


class Answers(Nodes):
    """Nodes whose probes are called in this process; `silent` ones do not answer."""

    def __init__(self, probes: dict[Node, Probe]) -> None:
        self.probes, self.silent, self.seconds = probes, {}, 1.0

    def ask(self, call):
        answers = {}
        for node in self.answering:
            try:
                answers[node] = call(Remote(self.probes[node]), node)
            except Exception as error:
                answers[node] = error
        return answers


class Remote:
    """`probe.method.remote(…)` is `probe.method(…)`."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def __getattr__(self, name: str):
        return type("Method", (), {"remote": staticmethod(getattr(self.probe, name))})


class OtherDisk(Probe):
    """A node whose folder of this name is another one."""

    def __init__(self, root: str, elsewhere: str) -> None:
        self.root, self.elsewhere = root, elsewhere

    def write(self, folder, name):
        super().write(folder.replace(self.root, self.elsewhere), name)

    def unread(self, folder, names):
        return super().unread(folder.replace(self.root, self.elsewhere), names)


def test_one_line_stands_for_all_nodes_that_are_well():
    findings = check_machines(dict.fromkeys(TRIO, GOOD), NEEDS, GOOD)
    assert {f.level for f in findings} == {"ok"}
    assert len({f.check for f in findings}) == len(findings)
    assert all(str(f).startswith("all 3 nodes: ") for f in findings)


def test_nodes_with_the_same_fault_share_a_line():
    old = dataclasses.replace(GOOD, packages={**GOOD.packages, "optuna": "5.0.9"})
    findings = check_machines({HEAD: GOOD, ONE: old, TWO: old}, NEEDS, GOOD)
    ((level, check, text),) = said(findings)
    assert (level, check) == ("failure", "versions")
    assert text.startswith(f"one (10.0.0.2), two (10.0.0.3): optuna 5.0.9 (here {GOOD.packages['optuna']}); ")


def test_another_python_and_other_code_are_found():
    other = dataclasses.replace(GOOD, python="3.12.1", code="0ther")
    found = said(check_machines({HEAD: GOOD, ONE: other}, NEEDS, GOOD))
    assert [(level, check) for level, check, _ in found] == [("failure", "versions"), ("failure", "code")]
    assert "python 3.12.1 (here 3.11.7)" in found[0][2]
    assert "fame and tuning are others (0ther, here c0de)" in found[1][2]


def test_a_node_that_cannot_run_the_code_says_why():
    ((level, check, text),) = said(check_machines({HEAD: ModuleNotFoundError("No module named 'fame'")}, NEEDS, GOOD))
    assert (level, check) == ("failure", "code")
    assert "ModuleNotFoundError: No module named 'fame'" in text


@pytest.mark.parametrize(
    ("modes", "words"),
    [
        ({HEAD: "token", ONE: "token"}, []),
        ({HEAD: None}, []),  # one node cannot disagree with itself
        ({HEAD: "token", ONE: None}, ["RAY_AUTH_MODE is not set"]),
        ({HEAD: "disabled", ONE: "disabled"}, ["head (10.0.0.1), one (10.0.0.2): RAY_AUTH_MODE=disabled"]),
    ],
)
def test_nodes_should_ask_for_a_token(modes, words):
    found = said(check_auth(modes))
    assert len(found) == len(words)
    assert all(level == "warning" and word in text for (level, _, text), word in zip(found, words, strict=True))


CARD = "NVIDIA H100"


@pytest.mark.parametrize(
    ("scheduled", "answer", "level", "words"),
    [
        (0, Gpus(names=[], driver="", problems=[]), "ok", "none"),
        (2, Gpus(names=[CARD, CARD], driver="580.1", problems=[]), "ok", "2 × NVIDIA H100, driver 580.1"),
        (2, Gpus(names=[CARD], driver="580.1", problems=[]), "failure", "Ray schedules 2, torch sees 1"),
        (1, Gpus(names=[], driver="", problems=["the driver is too old"]), "failure", "the driver is too old"),
        (1, Gpus(names=[], driver="", problems=[]), "failure", "Ray schedules 1, torch sees 0"),
        (1, Gpus(names=[CARD, CARD], driver="580.1", problems=[]), "warning", "the others stay idle"),
        (
            0,
            Gpus(names=[], driver="", problems=["this torch is built for CPUs only"]),
            "warning",
            "built for CPUs only",
        ),
        (1, ImportError("no torch"), "failure", "ImportError: no torch"),
    ],
)
def test_gpus_have_to_be_those_that_ray_schedules(scheduled, answer, level, words):
    (finding,) = check_gpus({dataclasses.replace(ONE, gpus=scheduled): answer})
    assert finding.level == level
    assert words in str(finding)


def test_clocks_are_compared():
    found = said(check_clocks({HEAD: 0.4, ONE: 5.0, TWO: 1000.0}))
    assert [level for level, _, _ in found] == ["warning", "failure"]
    assert "one (10.0.0.2): at least 5.0 s off" in found[0][2]


def test_a_clock_is_not_blamed_for_a_slow_answer():
    class Slow(Probe):
        def now(self):
            time.sleep(0.05)
            return time.time()

    class Ahead(Probe):
        def now(self):
            return time.time() + 100

    skews = clock_skews(Answers({HEAD: Slow(), ONE: Ahead()}))
    assert skews[HEAD] == 0.0
    assert 99 < skews[ONE] <= 100


def test_a_small_object_store_is_named():
    ((level, _, text),) = said(check_object_stores([HEAD, dataclasses.replace(ONE, object_store=80 << 20)]))
    assert level == "warning"
    assert "one (10.0.0.2): 0.1 GiB; start Ray there with --object-store-memory" in text


def test_a_storage_that_all_share_is_good_and_left_as_it_was(tmp_path):
    findings = check_shared(Answers({node: Probe() for node in TRIO}), str(tmp_path))
    assert [(f.level, f.check) for f in findings] == [("ok", "storage")]
    assert list(tmp_path.iterdir()) == []


def test_a_storage_in_an_object_store_is_good_and_left_as_it_was(monkeypatch):
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        findings = check_shared(Answers({node: Probe() for node in TRIO}), f"s3://{BUCKET}/runs")
        assert [(f.level, f.check) for f in findings] == [("ok", "storage")]
        assert server.files() == {}


def test_a_storage_that_a_node_has_for_itself_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("cluster.node.VISIBLE_SECONDS", 0.0)
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    other = OtherDisk(str(tmp_path / "here"), str(tmp_path / "there"))
    ((level, _, text),) = said(check_shared(Answers({HEAD: Probe(), ONE: other}), str(tmp_path / "here")))
    assert level == "failure"
    assert text.startswith("one (10.0.0.2): does not see the folder that was made from here at")


def test_nodes_that_do_not_see_each_others_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("cluster.node.VISIBLE_SECONDS", 0.0)

    class Stale(Probe):
        """It writes, and does not see what others do."""

        def unread(self, folder, names):
            return [name for name in names if name != ONE.id]

    ((level, _, text),) = said(check_shared(Answers({HEAD: Probe(), ONE: Stale()}), str(tmp_path)))
    assert level == "failure"
    assert text.startswith(f"one (10.0.0.2): does not see what head (10.0.0.1) wrote to {tmp_path}")


def test_a_node_without_rights_is_named(tmp_path):
    class Refused(Probe):
        def write(self, folder, name):
            raise PermissionError("read-only file system")

    ((level, _, text),) = said(check_shared(Answers({HEAD: Probe(), ONE: Refused()}), str(tmp_path)))
    assert level == "failure"
    assert "one (10.0.0.2): cannot write to" in text
    assert "read-only file system" in text


def test_a_file_with_other_content_is_not_taken_for_read(tmp_path, monkeypatch):
    monkeypatch.setattr("cluster.node.VISIBLE_SECONDS", 0.0)
    Probe().write(str(tmp_path), "a")
    assert Probe().unread(str(tmp_path), ["a", "b"]) == ["b"]
    (tmp_path / "a").write_text("something else")
    assert Probe().unread(str(tmp_path), ["a"]) == ["a"]


def test_a_silent_node_is_waited_for_once(monkeypatch):
    """`ray.wait` says who is late; who was late once is not asked again."""
    asked = []

    def wait(refs, num_returns, timeout):
        asked.append((list(refs), timeout))
        return [ref for ref in refs if ref != "two"], [ref for ref in refs if ref == "two"]

    monkeypatch.setattr(nodes_module, "start_probe", lambda node_id: node_id)
    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr(ray, "get", lambda ref: f"answer of {ref}")
    nodes = Nodes(TRIO, seconds=7)
    assert nodes.ask(lambda probe, node: node.name) == {HEAD: "answer of head", ONE: "answer of one"}
    assert nodes.ask(lambda probe, node: node.name) == {HEAD: "answer of head", ONE: "answer of one"}
    assert asked == [(["head", "one", "two"], 7), (["head", "one"], 7)]
    findings = check_answers(nodes)
    assert str(findings[0]) == "2 answer: head (10.0.0.1), one (10.0.0.2)"
    assert said(findings)[0][2].startswith("two (10.0.0.3): does not answer within 7 s; ")


def test_an_error_of_a_call_is_an_answer_and_the_end_of_a_node_is_not(monkeypatch):
    def get(ref):
        if ref == "one":
            raise ray.exceptions.RayTaskError("f", "traceback", ValueError("bad"))
        if ref == "two":
            raise ray.exceptions.ActorUnschedulableError("the node is gone\nand more")
        return "fine"

    monkeypatch.setattr(nodes_module, "start_probe", lambda node_id: node_id)
    monkeypatch.setattr(ray, "wait", lambda refs, num_returns, timeout: (refs, []))
    monkeypatch.setattr(ray, "get", get)
    nodes = Nodes(TRIO, seconds=7)
    answers = nodes.ask(lambda probe, node: node.name)
    assert answers[HEAD] == "fine"
    assert str(answers[ONE]) == "bad"
    assert nodes.silent.keys() == {TWO}
    assert "the node is gone" in nodes.silent[TWO]
    assert "\n" not in nodes.silent[TWO]


def test_an_empty_answer_says_nothing():
    assert merge({}) == []
