"""The Kubernetes manifests: Kubernetes' schema (strict), KubeRay's fields, and whether they fit together."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "cluster/kuberay"
README = FOLDER / "README.md"
CUSTOM = yaml.safe_load(Path(__file__).with_name("kuberay_v1.yaml").read_text())
VERSION = kubernetes_validate.latest_version()
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
RESOURCES = [
    pytest.param(resource, id=f"{path.stem}-{resource['kind']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for resource in yaml.safe_load_all(path.read_text())
]


def all_resources() -> list[dict[str, Any]]:
    return [param.values[0] for param in RESOURCES]


def pod_templates(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates of a Ray cluster."""
    spec = resource["spec"]
    return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def check(resource: dict[str, Any]) -> None:
    """Raise what is wrong with a resource."""
    if resource["apiVersion"] != "ray.io/v1":
        kubernetes_validate.validate(resource, VERSION, strict=True)
        return
    jsonschema.validate(resource["spec"], CUSTOM[resource["kind"]])
    for template in pod_templates(resource) if resource["kind"] == "RayCluster" else []:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **template}
        kubernetes_validate.validate(pod, VERSION, strict=True)


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_schema_takes_it(resource):
    check(resource)


def test_what_there_is():
    kinds = [resource["kind"] for resource in all_resources()]
    assert {"RayCluster", "RayJob", "StatefulSet", "Deployment", "NetworkPolicy"} <= set(kinds)


def ray_cluster() -> dict[str, Any]:
    """A copy of the Ray cluster."""
    (path,) = FOLDER.glob("cluster.yaml")
    return next(r for r in yaml.safe_load_all(path.read_text()) if r["kind"] == "RayCluster")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(rayVersoin="1"),
        lambda spec: spec["authOptions"].update(mode="tokn"),
        lambda spec: spec["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
        lambda spec: spec["workerGroupSpecs"][0].pop("groupName"),
        lambda spec: spec["workerGroupSpecs"][0]["template"]["spec"]["containers"][0].update(imagee="x"),
    ],
)
def test_the_schema_refuses_what_is_wrong(spoil):
    resource = ray_cluster()
    spoil(resource["spec"])
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(resource)


def containers() -> Iterator[dict[str, Any]]:
    for resource in all_resources():
        templates = pod_templates(resource) if resource["kind"] == "RayCluster" else []
        if resource["kind"] in ("Deployment", "StatefulSet"):
            templates = [resource["spec"]["template"]]
        for template in templates:
            yield from template["spec"]["containers"]


def test_secrets_are_referred_to_and_the_page_says_how_to_make_them():
    """No password in a file; each secret that is asked for is created, with the keys that are asked for."""
    wanted = {ref["secretRef"]["name"] for c in containers() for ref in c.get("envFrom", []) if "secretRef" in ref}
    for container in containers():
        for variable in container.get("env", []):
            assert "valueFrom" in variable or "PASSWORD" not in variable["name"], variable
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                wanted.add(reference["name"])
                assert f"--from-literal={reference['key']}=" in README.read_text()
    page = README.read_text()
    assert wanted == set(re.findall(r"create secret generic (\S+)", page))


def test_places_that_are_used_are_given():
    given = dict(line.split("=", 1) for line in (FOLDER / "places.env").read_text().splitlines())
    (job,) = (r for r in all_resources() if r["kind"] == "RayJob")
    used = set(re.findall(r"\$(\w+)", job["spec"]["entrypoint"]))
    (mlflow,) = (c for c in containers() if c["name"] == "mlflow")
    used |= {name for argument in mlflow["args"] for name in re.findall(r"\$\((\w+)\)", argument)}
    assert used == given.keys()
    services = {r["metadata"]["name"] for r in all_resources() if r["kind"] == "Service"}
    assert re.fullmatch(r"http://(\w+):5000", given["TRACKING"]).group(1) in services


def test_the_sweep_runs_on_the_cluster_that_asks_for_a_token():
    (job,) = (r for r in all_resources() if r["kind"] == "RayJob")
    cluster = ray_cluster()
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    assert job["metadata"]["namespace"] == KUSTOMIZATION["namespace"]
    assert cluster["spec"]["authOptions"] == {"mode": "token"}


def test_workers_have_gpus_and_go_when_nothing_waits():
    spec = ray_cluster()["spec"]
    (group,) = spec["workerGroupSpecs"]
    assert spec["enableInTreeAutoscaling"]
    assert group["minReplicas"] == group["replicas"] == 0
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_servers_are_reached_by_those_alone_that_need_them():
    policies = {r["metadata"]["name"]: r["spec"] for r in all_resources() if r["kind"] == "NetworkPolicy"}
    services = {r["metadata"]["name"]: r["spec"] for r in all_resources() if r["kind"] == "Service"}
    assert policies.keys() == services.keys()
    for name, policy in policies.items():
        assert policy["podSelector"]["matchLabels"] == services[name]["selector"]
        assert all(rule.get("from") for rule in policy["ingress"])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kustomize_puts_image_and_namespace_everywhere(tmp_path):
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    assert {r["kind"] for r in made} == {r["kind"] for r in all_resources()} - {"RayJob"} | {"ConfigMap"}
    assert {r["metadata"].get("namespace") for r in made if r["kind"] != "Namespace"} == {KUSTOMIZATION["namespace"]}
    images = set(re.findall(r"image: (\S+)", done.stdout))
    assert images == {"postgres:17", "REGISTRY/fame-tuning:latest"}
