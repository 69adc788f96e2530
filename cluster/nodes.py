"""Asking all nodes of a cluster at once, without waiting for those that do not answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from cluster.node import start_probe


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that Ray takes to be alive."""

    id: str
    name: str
    address: str
    gpus: int
    object_store: int
    """Bytes."""

    def __str__(self) -> str:
        return self.name if self.name == self.address else f"{self.name} ({self.address})"


def alive_nodes() -> list[Node]:
    """The cluster's nodes, the head first."""
    nodes = sorted(
        (node for node in ray.nodes() if node["Alive"]),
        key=lambda node: ("node:__internal_head__" not in node["Resources"], node["NodeManagerAddress"]),
    )
    return [
        Node(
            id=node["NodeID"],
            name=node["NodeManagerHostname"],
            address=node["NodeManagerAddress"],
            gpus=int(node["Resources"].get("GPU", 0)),
            object_store=int(node["Resources"].get("object_store_memory", 0)),
        )
        for node in nodes
    ]


class Nodes:
    """Nodes with a probe on each. One that once does not answer in time is not asked again."""

    def __init__(self, nodes: list[Node], seconds: float) -> None:
        self.seconds = seconds
        self.probes = {node: start_probe(node.id) for node in nodes}
        self.silent: dict[Node, str] = {}
        """Why nodes are not asked any more."""

    @property
    def answering(self) -> list[Node]:
        return [node for node in self.probes if node not in self.silent]

    def ask(self, call: Callable[[Any, Node], Any]) -> dict[Node, Any]:
        """Return each node's answer to a call of its probe. An exception that the call raised is an answer, too."""
        calls = {call(self.probes[node], node): node for node in self.answering}
        ready, late = ray.wait(list(calls), num_returns=len(calls), timeout=self.seconds) if calls else ([], [])
        self.silent |= {calls[ref]: f"does not answer within {self.seconds:g} s" for ref in late}
        answers = {}
        for ref in ready:
            node = calls[ref]
            try:
                answers[node] = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                answers[node] = error.cause
            except RayError as error:
                self.silent[node] = str(error).strip().partition("\n")[0]
        return {node: answers[node] for node in self.probes if node in answers}
