"""Versions come from the requirements files: what else in cluster/ names one names the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in (ROOT / "cluster").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
NUMBER = re.compile(r"(?<!ubuntu-)(?<![\w.])\d+\.\d+(?:\.\d+)?(?![\w.]*\d)")
"""A version, but not a part of an address, of a machine's name, or of Ubuntu's."""


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#-"]
    return {r.name: next(iter(r.specifier)).version for r in map(Requirement, lines)}


PYTHON = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
RAY = pins("requirements.txt")["ray"]
KUBERAY = re.search(r"release (\d+\.\d+)", (ROOT / "tests/cluster/kuberay_v1.yaml").read_text()).group(1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_names_another_version(path):
    assert set(NUMBER.findall(path.read_text())) <= {PYTHON, RAY, KUBERAY}


@pytest.mark.parametrize(
    "text", ["ray==2.59.0", "image: rayproject/ray:2.61.1", "pip install mlflow==3.1", "python:3.12-slim"]
)
def test_another_version_would_be_found(text):
    assert not set(NUMBER.findall(text)) <= {PYTHON, RAY, KUBERAY}


def test_addresses_and_machines_are_no_versions():
    assert NUMBER.findall("--host 127.0.0.1 g5.2xlarge m7i.xlarge http://10.0.0.1:5000") == []


def test_what_nodes_need_beyond_is_pinned_beside_the_rest():
    lines = (ROOT / "requirements-cluster.txt").read_text().splitlines()
    assert "-r requirements.txt" in lines
    assert not pins("requirements-cluster.txt").keys() & pins("requirements.txt").keys()


def test_the_image_is_made_of_the_requirements():
    text = (ROOT / "cluster/Dockerfile").read_text()
    assert re.search(r"^FROM python:(\S+)-slim$", text, re.MULTILINE).group(1) == PYTHON
    assert "pip install --no-cache-dir -r requirements-cluster.txt" in text


def test_kuberay_knows_the_version_of_ray():
    resources = yaml.safe_load_all((ROOT / "cluster/kuberay/cluster.yaml").read_text())
    assert [r["spec"]["rayVersion"] for r in resources if r["kind"] == "RayCluster"] == [RAY]
