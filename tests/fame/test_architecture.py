"""Imports run one way: fame ◄ tuning ◄ cluster, and one way between the folders of tuning. The core needs torch alone."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKERS = {"ray", "optuna", "mlflow"}
FORBIDDEN = {"fame": {"tuning", "cluster"} | TRACKERS, "tuning": {"cluster"}}
MOST_LINES = 300
HEAVY = ["pandas", "pyarrow", "transformers", "ray", "optuna", "mlflow", "safetensors", "yaml"]

ORDER = [
    {"command"},
    {"sweep", "compare", "recommending"},
    {"library"},
    {"driver"},
    {"report", "terminal"},
    {"dashboards", "comparison", "results", "machines"},
    {"registry", "tracking"},
    {"plan"},
    {"search", "schedulers", "trial"},
    {"study"},
    {"faults"},
    {"space", "storage", "pages", "ray_internals"},
]
"""Rooms of `tuning`, from the top floor down. A room imports from floors below, or from `BESIDE` on its own floor."""
BESIDE = {("registry", "tracking"), ("schedulers", "trial")}


def imported(path: Path) -> Iterator[str]:
    """Yield the module of every import in a file, also inside functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_file_imports_a_package_that_builds_on_its_own(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {
        str(path.relative_to(ROOT)): bad
        for path in files
        if (bad := FORBIDDEN[folder] & set(map(package, imported(path))))
    }
    assert not found


def test_training_model_and_evaluation_import_nothing_but_torch_and_numpy():
    code = f"import sys, fame.training.fit, fame.models.fame, fame.evaluation.evaluator; print([m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_room_of_tuning_has_its_floor():
    files = [path for path in (ROOT / "tuning").rglob("*.py") if path != ROOT / "tuning" / "__init__.py"]
    assert {room_of(path) for path in files} == set().union(*ORDER)


def test_imports_run_one_way_between_the_rooms_of_tuning():
    """Commands (`__main__.py`) may import every room."""
    floor = {room: number for number, rooms in enumerate(ORDER) for room in rooms}
    found = []
    for path in sorted((ROOT / "tuning").rglob("*.py")):
        if path == ROOT / "tuning" / "__init__.py" or path.name == "__main__.py":
            continue
        room = room_of(path)
        for module in imported(path):
            other = module.split(".")[1] if module.startswith("tuning.") else room
            if other != room and floor[other] <= floor[room] and (room, other) not in BESIDE:
                found.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not found


def test_no_files_of_a_package_import_each_other_in_a_circle():
    graph = {name_of(path): path for folder in ("fame", "tuning", "cluster") for path in (ROOT / folder).rglob("*.py")}
    edges = {
        name: {target for module in imported(path) if (target := known(module, graph))} - {name}
        for name, path in graph.items()
    }
    while leaves := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert not edges


def test_the_folders_of_fame_import_each_other_in_no_circle():
    """Commands (files at the top, and `__main__.py`) may import every folder."""
    folders = {path.name for path in (ROOT / "fame").iterdir() if (path / "__init__.py").exists()}
    edges: dict[str, set[str]] = {folder: set() for folder in folders}
    for folder in folders:
        for path in (ROOT / "fame" / folder).rglob("*.py"):
            if path.name != "__main__.py":
                modules = {module.split(".")[1] for module in imported(path) if module.startswith("fame.")}
                edges[folder] |= (modules & folders) - {folder}
    while leaves := {folder for folder, targets in edges.items() if not targets & edges.keys()}:
        edges = {folder: targets for folder, targets in edges.items() if folder not in leaves}
    assert not edges


def test_no_room_of_tuning_has_the_name_of_another_package():
    """`python tuning/sweep.py` puts the folder `tuning` on the module path of Ray's processes."""
    rooms = set().union(*ORDER)
    assert not rooms & sys.stdlib_module_names
    assert not {room for room in rooms if importlib.util.find_spec(room) is not None}


def test_no_file_is_longer_than_a_reader_can_hold():
    assert not [f"{path.relative_to(ROOT)}: {count}" for path in own_files() if (count := lines_of(path)) > MOST_LINES]


def test_one_name_is_one_class():
    """Imports name the module, but a reader meets the name alone."""
    places: dict[str, list[str]] = {}
    for path in own_files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_one_name_is_one_function_of_a_folder():
    """Commands apart: each has its `main` and its `parser`."""
    places: dict[tuple[Path, str], list[str]] = {}
    for path in own_files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name not in ("main", "parser"):
                places.setdefault((path.parent, node.name), []).append(path.name)
    assert not {name: files for (_, name), files in places.items() if len(files) > 1 and not name.startswith("_")}


def own_files() -> list[Path]:
    return [path for package in (*FORBIDDEN, "cluster") for path in sorted((ROOT / package).rglob("*.py"))]


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "tuning").with_suffix("").parts[0]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def known(module: str, graph: dict[str, Path]) -> str | None:
    """Return the file that an import names. A package's `__init__.py` only hands names on, so it counts as no file."""
    return module if module in graph and graph[module].name != "__init__.py" else None
