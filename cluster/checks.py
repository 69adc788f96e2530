"""The doctor's checks: what is to be said of what the nodes answered."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cluster.node import Gpus, open_place
from cluster.nodes import Node, Nodes
from fame.remote import explained, is_remote
from tuning.machines.checks import Finding, Level, Machine, Needs, check_machine, gib
from tuning.storage.layout import below, leaves_no_empty_folder, root

SKEW_WARNING, SKEW_FAILURE = 2.0, 300.0
"""Seconds between clocks: times in MLflow are wrong; object stores refuse requests."""
OBJECT_STORE = 256 << 20
"""Bytes that a node should have for objects: the dataset, and what trials report."""
ROUNDS = 3
"""How often a clock is read: the fastest answer says most."""


def check_answers(nodes: Nodes) -> list[Finding]:
    """Whether all nodes answered."""
    found = [
        Finding(
            level="failure",
            check="nodes",
            found=f"{node}: {reason}",
            advice="look at its network and its Ray (ray status); restart Ray there, or end the node",
        )
        for node, reason in nodes.silent.items()
    ]
    answered = nodes.answering
    return [ok("nodes", f"{len(answered)} answer: {', '.join(map(str, answered))}"), *found] if answered else found


def check_machines(machines: Mapping[Node, Any], needs: Needs, here: Machine) -> list[Finding]:
    """Return findings on each machine, and on whether all have the packages and the code of this one."""
    found: dict[str, dict[Node, list[Finding]]] = {}
    for node, machine in machines.items():
        if isinstance(machine, Exception):
            failure = Finding(
                level="failure",
                check="code",
                found=f"cannot run this project's code ({line(machine)})",
                advice="give every node the environment of requirements.txt",
            )
            found.setdefault("code", {})[node] = [failure]
            continue
        for finding in [*check_machine(machine, needs), _same_packages(machine, here), _same_code(machine, here)]:
            found.setdefault(finding.check, {}).setdefault(node, []).append(finding)
    return [finding for by_node in found.values() for finding in merge(by_node)]


def _same_packages(machine: Machine, here: Machine) -> Finding:
    theirs, ours = ({"python": one.python, **one.packages} for one in (machine, here))
    others = [
        f"{name} {theirs[name] or 'is missing'} (here {version or 'missing'})"
        for name, version in ours.items()
        if theirs[name] != version
    ]
    if not others:
        return ok("versions", "the same as here")
    advice = "pip install -r requirements.txt there, or use one image"
    return Finding(level="failure", check="versions", found=", ".join(others), advice=advice)


def _same_code(machine: Machine, here: Machine) -> Finding:
    if machine.code == here.code:
        return ok("code", f"fame and tuning are those of here ({here.code})")
    return Finding(
        level="failure",
        check="code",
        found=f"fame and tuning are others ({machine.code}, here {here.code})",
        advice="uninstall fame-tuning there: a sweep sends its own",
    )


def check_auth(modes: Mapping[Node, Any]) -> list[Finding]:
    """Whether every node was told whether Ray asks for a token."""
    return merge({node: [_auth(mode, len(modes))] for node, mode in modes.items()})


def _auth(mode: str | None, nodes: int) -> Finding:
    if mode == "token" or nodes == 1:
        return ok("authentication", f"RAY_AUTH_MODE={mode}" if mode else "left to Ray, on one node")
    if mode is None:
        found, advice = "RAY_AUTH_MODE is not set", "nodes may disagree; set it where each starts Ray"
    else:
        found = f"RAY_AUTH_MODE={mode}"
        advice = "whoever reaches this network can run code here; use token, or keep others out of it"
    return Finding(level="warning", check="authentication", found=found, advice=advice)


def check_gpus(gpus: Mapping[Node, Any]) -> list[Finding]:
    """Whether torch calculates on the GPUs that Ray schedules."""
    return merge({node: [_gpus(node, found)] for node, found in gpus.items()})


def _gpus(node: Node, found: Gpus | Exception) -> Finding:
    if isinstance(found, Exception):
        return Finding(level="failure", check="gpus", found=line(found), advice="torch cannot be used there")
    names = f"{', '.join(dict.fromkeys(found.names))}, driver {found.driver}" if found.names else "none"
    if found.problems:
        advice = "install a driver that torch's CUDA works with, and a torch built for CUDA"
        return Finding(
            level="failure" if node.gpus or found.names else "warning",
            check="gpus",
            found=f"{'; '.join(found.problems)} ({names})",
            advice=advice,
        )
    if node.gpus > len(found.names):
        return Finding(
            level="failure",
            check="gpus",
            found=f"Ray schedules {node.gpus}, torch sees {len(found.names)} ({names})",
            advice="start Ray there with the right --num-gpus, and containers with --gpus all",
        )
    if node.gpus < len(found.names):
        advice = "the others stay idle; start Ray there without --num-gpus"
        found_text = f"Ray schedules {node.gpus}, torch sees {len(found.names)} ({names})"
        return Finding(level="warning", check="gpus", found=found_text, advice=advice)
    return ok("gpus", f"{len(found.names)} × {names}" if found.names else "none")


def clock_skews(nodes: Nodes) -> dict[Node, float]:
    """Seconds by which each node's clock is off at least: more than the question's way there and back explains."""
    skews: dict[Node, float] = {}
    for _ in range(ROUNDS):
        before = time.time()
        answers = nodes.ask(lambda probe, _: probe.now.remote())
        after = time.time()
        for node, now in answers.items():
            off = max(before - now, now - after, 0.0)
            skews[node] = max(skews.get(node, 0.0), off)
    return skews


def check_clocks(skews: Mapping[Node, float]) -> list[Finding]:
    def judged(skew: float) -> Finding:
        if skew <= SKEW_WARNING:
            return ok("clock", f"within {SKEW_WARNING:g} s of this one")
        level: Level = "failure" if skew > SKEW_FAILURE else "warning"
        found = f"at least {skew:.1f} s off"
        return Finding(level=level, check="clock", found=found, advice="set it by NTP (chronyd, systemd-timesyncd)")

    return merge({node: [judged(skew)] for node, skew in skews.items()})


def check_object_stores(nodes: Iterable[Node]) -> list[Finding]:
    """Whether a dataset fits into the object store of each node."""

    def judged(node: Node) -> Finding:
        if node.object_store >= OBJECT_STORE:
            return ok("object store", gib(node.object_store))
        advice = f"start Ray there with --object-store-memory {OBJECT_STORE} or more"
        return Finding(level="warning", check="object store", found=gib(node.object_store), advice=advice)

    return merge({node: [judged(node)] for node in nodes})


def check_shared(nodes: Nodes, storage: str) -> list[Finding]:
    """Whether each node writes to the folder that is made from here, and reads what the others wrote."""
    with made_folder(storage) as folder:
        wrote = nodes.ask(lambda probe, node: probe.write.remote(folder, node.id))
        names = {node.id: node for node, answer in wrote.items() if answer is None}
        missed = nodes.ask(lambda probe, _: probe.unread.remote(folder, list(names)))

    def judged(node: Node) -> Finding:
        found = ""
        if isinstance(wrote[node], FileNotFoundError):
            found = f"does not see the folder that was made from here at {storage}"
        elif missed.get(node) and not isinstance(missed[node], Exception):
            others = ", ".join(str(names[name]) for name in missed[node])
            found = f"does not see what {others} wrote to {storage}"
        if found:
            advice = "mount one folder at this path on all nodes, or use a URI such as s3://bucket/runs"
            return Finding(level="failure", check="storage", found=found, advice=advice)
        for what, answer in (("write to", wrote[node]), ("read", missed.get(node))):
            if isinstance(answer, Exception):
                found = f"cannot {what} {storage} ({line(answer)})"
                return Finding(level="failure", check="storage", found=found, advice="look at its rights there")
        return ok("storage", f"{storage} is written, and read by all others")

    return merge({node: [judged(node)] for node in wrote})


@contextlib.contextmanager
def made_folder(storage: str) -> Iterator[str]:
    """A folder in the storage for a while."""
    remote = is_remote(storage)
    with contextlib.nullcontext() if remote else leaves_no_empty_folder(root(storage)):
        folder = below(storage if remote else str(root(storage)), f".doctor-{uuid.uuid4().hex[:8]}")
        filesystem, path = open_place(folder)
        filesystem.create_dir(path)
        try:
            yield folder
        finally:
            filesystem.delete_dir(path)


def merge(found: Mapping[Node, list[Finding]]) -> list[Finding]:
    """One line for all nodes that are well, and one for those that have the same fault."""
    groups: dict[tuple[Level, str, str], list[Node]] = {}
    texts: dict[tuple[Level, str, str], Finding] = {}
    for node, findings in found.items():
        for finding in findings:
            key = (finding.level, finding.check, "" if finding.level == "ok" else str(finding))
            groups.setdefault(key, []).append(node)
            texts.setdefault(key, finding)
    return [_of_nodes(texts[key], nodes, len(found)) for key, nodes in groups.items()]


def _of_nodes(finding: Finding, nodes: list[Node], total: int) -> Finding:
    if finding.level == "ok":
        who = f"all {total} nodes" if len(nodes) == total else f"{len(nodes)} of {total} nodes"
        return ok(finding.check, finding.found if total == 1 else f"{who}: {finding.found}")
    who = ", ".join(map(str, nodes))
    return Finding(level=finding.level, check=finding.check, found=f"{who}: {finding.found}", advice=finding.advice)


def ok(check: str, found: str) -> Finding:
    return Finding(level="ok", check=check, found=found)


def line(error: BaseException) -> str:
    kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
    return f"{kind}{explained(error)}"
