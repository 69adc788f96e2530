"""The files of Ray's cluster launcher: Ray's own schema, and what its autoscaler makes of the node types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil

FILES = sorted((Path(__file__).parents[2] / "cluster").glob("*.yaml"))
TRIAL = {"CPU": 1, "GPU": 1}


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def written(request) -> dict[str, Any]:
    return yaml.safe_load(request.param.read_text())


@pytest.fixture
def config(written) -> dict[str, Any]:
    return prepare_config(written)


def test_there_is_a_file_for_each_cloud():
    assert [path.stem for path in FILES] == ["aws", "gcp"]


def test_ray_accepts_the_file(config):
    validate_config(config)


def test_ray_refuses_a_field_that_it_does_not_know(config):
    """The schema would notice: what passes above means something."""
    config["available_node_types"]["head"]["min_wokers"] = 1
    with pytest.raises(Exception, match="min_wokers"):
        validate_config(config)


def test_nothing_is_installed_beside_the_image(config):
    """Ray would fill in commands that install a Ray of its own."""
    commands = ("setup_commands", "head_setup_commands", "worker_setup_commands")
    assert {key: config[key] for key in commands} == {key: [] for key in commands}


def test_servers_listen_on_loopback_and_ask_for_a_token(config):
    head = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    assert "mlflow server --host 127.0.0.1" in head
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert "/home/ray/.ray/auth_token" in config["file_mounts"]


def launched(config: Mapping[str, Any], trials: int, recovered: Mapping[str, float]) -> dict[str, int]:
    """Nodes by type that Ray's autoscaler starts for trials that wait, on a cluster of a head alone."""
    types = {
        name: NodeTypeConfig(
            name=name,
            min_worker_nodes=node.get("min_workers", 0),
            max_worker_nodes=node["max_workers"],
            priority=node.get("priority", 0),
            resources=node["resources"],
        )
        for name, node in config["available_node_types"].items()
        if name != config["head_node_type"]
    }
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=types,
        max_num_nodes=config["max_workers"],
        resource_requests=ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(TRIAL)] * trials),
        recoverable_resource_availabilities=dict(recovered),
    )
    reply = ResourceDemandScheduler().schedule(request)
    return {launch.instance_type: launch.count for launch in reply.to_launch}


def test_spot_machines_come_first_and_others_where_there_are_none(config):
    assert launched(config, 0, {}) == {}
    assert launched(config, 3, {}) == {"gpu-spot": 3}
    assert launched(config, 3, {"gpu-spot": 0.0}) == {"gpu-on-demand": 3}
    assert launched(config, 100, {}) == {"gpu-spot": config["max_workers"]}


def test_only_one_of_the_worker_types_can_be_taken_away(written):
    """They are the same machine, bought in two ways."""
    nodes = {name: dict(node) for name, node in written["available_node_types"].items()}
    spot, demand = nodes["gpu-spot"].pop("node_config"), nodes["gpu-on-demand"].pop("node_config")
    market = {"InstanceMarketOptions", "scheduling"}
    assert {k: v for k, v in spot.items() if k not in market} == {k: v for k, v in demand.items() if k not in market}
    assert "spot" in str({k: spot.get(k) for k in market}).lower()
    assert "spot" not in str({k: demand.get(k) for k in market}).lower()
    assert {**nodes["gpu-spot"], "priority": 0} == nodes["gpu-on-demand"]


def test_the_head_trains_nothing(written):
    assert written["available_node_types"]["head"]["resources"] == {"CPU": 0}
