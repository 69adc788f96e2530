"""Files from somebody else run no code here, wherever they are put, and cannot name places outside their folder."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from fame import recommend, train
from fame.artifacts import Artifact, LocalFolder
from fame.config import DataConfig
from fame.config.tree import apply_overrides, read_yaml
from fame.datasets import __main__ as datasets
from fame.datasets import file_name, load_dataset
from fame.datasets.layouts import Zip
from fame.errors import UserError
from fame.serving.exported import load_catalogue
from fame.text.cache import VectorStore
from fame.text.encoder import Encoder, encoder_folder, encoder_identity
from fame.training.fit import CHECKPOINT, read_trained
from tests.commands import TINY, call, write_config
from tuning import sweep
from tuning.library.run import resumed_plan
from tuning.plan.options import Options, plain_name
from tuning.space.file import read_space
from tuning.storage.layout import RECORD, Storage


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.mark),))


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is only there if planted code has run; the working directory is beside it."""
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "executed"


def yaml_bomb(mark: Path) -> str:
    return f"!!python/object/apply:os.mkdir [{mark}]\n"


def torch_bomb(mark: Path) -> bytes:
    """Return the bytes that `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save({"weights": Bomb(mark)}, buffer)
    return buffer.getvalue()


def numpy_bomb(mark: Path) -> bytes:
    """Return the bytes that `np.save` writes of objects."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def npz_bomb(mark: Path) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, user=np.array([Bomb(mark)], dtype=object))
    return buffer.getvalue()


def pickled(mark: Path) -> bytes:
    return pickle.dumps(Bomb(mark))


BOMBS = [pickled, torch_bomb, numpy_bomb, npz_bomb]
bombs = pytest.mark.parametrize("bomb", BOMBS)


def test_the_bombs_do_go_off(mark: Path) -> None:
    """Read by what must not be used, each of them leaves the mark: so the other tests can fail."""
    import yaml

    for read in (
        lambda: pickle.loads(pickled(mark)),
        lambda: torch.load(io.BytesIO(torch_bomb(mark)), weights_only=False),
        lambda: np.load(io.BytesIO(numpy_bomb(mark)), allow_pickle=True),
        lambda: np.load(io.BytesIO(npz_bomb(mark)), allow_pickle=True)["user"],
        lambda: yaml.unsafe_load(yaml_bomb(mark)),
    ):
        read()
        mark.rmdir()


def exported(tmp_path: Path) -> Path:
    """A folder that somebody has exported."""
    config = write_config(tmp_path / "c.yaml")
    assert call(train.main, "--config", config, "--set", "train.epochs=1", "--output", tmp_path / "out").code == 0
    return tmp_path / "out" / "best"


def test_an_exported_model(mark: Path, tmp_path: Path) -> None:
    folder = exported(tmp_path)
    model = ("--model", folder, "--history", "1")
    assert call(recommend.main, *model).code == 0
    for name in ("model.safetensors", "items.json", "config.yaml"):
        whole = (folder / name).read_bytes()
        for bad in [*(bomb(mark) for bomb in BOMBS), yaml_bomb(mark).encode()]:
            (folder / name).write_bytes(bad)
            done = call(recommend.main, *model)
            assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1
            assert not mark.exists(), name
        (folder / name).write_bytes(whole)
    assert call(recommend.main, *model).code == 0


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.dictionaries(st.sampled_from(["ids", "titles", "counts", "more"]), st.lists(PLAIN, max_size=3) | PLAIN))
@example({"ids": [{}], "titles": [""], "counts": [1]})
@example({"ids": ["../../etc"], "titles": ["\x1b]0;planted\x07\x9b2J\n"], "counts": [1]})
def test_a_catalogue_is_what_it_should_be_or_refused(tmp_path_factory: pytest.TempPathFactory, content: dict) -> None:
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "items.json").write_text(json.dumps(content))
    try:
        found = load_catalogue(folder)
    except UserError:
        return
    assert {type(id) for id in found.ids} <= {int, str} and {type(count) for count in found.counts} <= {int}
    assert all(title.isprintable() for title in found.titles)
    assert len(found.ids) == len(found.titles) == len(found.counts)


@bombs
def test_a_training_checkpoint_and_a_stage_artifact(bomb, mark: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / CHECKPOINT).write_bytes(bomb(mark))
    with pytest.raises(UserError, match="is not a checkpoint of this program, or is damaged"):
        read_trained(folder)
    done = call(train.main, "--config", write_config(tmp_path / "c.yaml"), "--output", folder)
    assert done.code == 2 and done.err.count("\n") == 1
    (folder / "stage.safetensors").write_bytes(bomb(mark))
    with pytest.raises(UserError):
        Artifact.load(LocalFolder(folder), "stage.safetensors")
    assert not mark.exists()


@bombs
def test_prepared_data(bomb, mark: Path) -> None:
    config = DataConfig(**TINY["data"])
    said: list[str] = []
    first = load_dataset(config)
    (prepared,) = (mark.parent / "cache" / "prepared").iterdir()
    for file in sorted(prepared.glob("*.npy")):
        file.write_bytes(bomb(mark))
        sizes = json.loads((prepared / "meta.json").read_text())
        sizes["bytes"][file.name] = file.stat().st_size
        (prepared / "meta.json").write_text(json.dumps(sizes))
        assert load_dataset(config, report=said.append).fingerprint == first.fingerprint
        assert "is damaged" in said[-1]
    assert not mark.exists()


@bombs
@pytest.mark.parametrize("name", ["own.csv", "own.csv.gz", "own.parquet", "own.jsonl", "own.pkl", "own.npz"])
def test_own_data(bomb, name: str, mark: Path) -> None:
    Path(name).write_bytes(bomb(mark))
    Path("good.csv").write_text("user,item,time\n" + "".join(f"{u},{i},{i}\n" for u in range(9) for i in range(9)))
    for args in (("--data", name), ("--data", "good.csv", "--items", name)):
        done = call(datasets.main, *args)
        assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert not mark.exists()


@bombs
def test_cached_text_vectors(bomb, mark: Path, tmp_path: Path) -> None:
    (tmp_path / "0.safetensors").write_bytes(bomb(mark))
    said: list[str] = []
    VectorStore(tmp_path).read(said.append)
    assert "are damaged" in said[0] and not mark.exists()


def test_a_text_encoder_with_pickled_weights_or_code_of_its_own(mark: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(encoder_folder("all-MiniLM-L6-v2"), folder)
    weights = folder / "model.safetensors"
    weights.rename(folder / "other.safetensors")
    (folder / "pytorch_model.bin").write_bytes(torch_bomb(mark))
    assert encoder_identity(folder)
    with pytest.raises(UserError, match="is no model that transformers can load"):
        Encoder(folder, torch.device("cpu"))
    (folder / "other.safetensors").rename(weights)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "planted", "auto_map": {"AutoConfig": "planted.Config", "AutoModel": "planted.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "planted.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    with pytest.raises(UserError, match="is no model that transformers can load"):
        Encoder(folder, torch.device("cpu"))
    assert not mark.exists()


def test_configurations_of_every_kind(mark: Path, tmp_path: Path) -> None:
    file = tmp_path / "planted.yaml"
    for text in (yaml_bomb(mark), f"base: {yaml_bomb(mark)}", f"train: {{lr: {yaml_bomb(mark).strip()}}}\n"):
        file.write_text(text)
        for read in (read_yaml, read_space):
            with pytest.raises(UserError, match="is not valid YAML"):
                read(file)
        assert call(train.main, "--config", file).code == call(sweep.main, "--space", file).code == 2
    with pytest.raises(UserError, match="not valid YAML"):
        apply_overrides({}, [f"train.lr={yaml_bomb(mark)}"])
    assert not mark.exists()


# Sweeps: Tune's state is pickled, so a sweep has to be one's own; everything before that is read safely.


def resume() -> str:
    done = call(sweep.main, "--resume", "--name", "theirs")
    assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1
    return done.err


def test_the_record_of_a_sweep(mark: Path) -> None:
    places = Storage.of("runs", "theirs")
    places.create({})
    for bad in [*(bomb(mark) for bomb in BOMBS), yaml_bomb(mark).encode(), b"{}", b"options: {set: 3}\n"]:
        (places.local / RECORD).write_bytes(bad)
        resume()
    assert not mark.exists()


@pytest.mark.parametrize("theirs", ["runs/theirs", "runs/theirs/tune", "runs/theirs/tune/theirs/tuner.pkl"])
def test_a_sweep_of_another_user_is_not_resumed(theirs: str, mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Storage.of("runs", "theirs")
    places.create({})
    (places.local / "tune" / "theirs").mkdir(parents=True)
    (places.local / "tune" / "theirs" / "tuner.pkl").write_bytes(pickled(mark))
    path_stat = Path.stat

    def owned(path: Path, **how: bool):
        found = path_stat(path, **how)
        if path.absolute() != Path(theirs).absolute():
            return found
        fields = list(found[:10])
        fields[stat.ST_UID] += 1
        return type(found)(fields)

    with pytest.raises(UserError, match="is damaged, or of another version"):  # so it is read, if it is one's own
        resumed_plan(Options(name="theirs", resume=True), {})
    monkeypatch.setattr(Path, "stat", owned)
    assert f"{theirs} belongs to another user, and what Ray keeps there is code" in resume()
    assert not mark.exists()


# Names of places.

NAMES = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(["..", ".", "/", "\\", "~", "a", "\0", "$HOME", "s3://", " "]), min_size=1).map("".join),
)


@given(NAMES)
@example("../../etc/passwd")
@example("..")
@example("a/../../b")
def test_a_name_stays_below_its_folder(name: str) -> None:
    """So do the folder of a dataset in the cache, and that of a sweep in its storage."""
    root = Path("/somewhere/of/all")
    for safe in (file_name(name), plain_name(name)):
        assert (root / safe).resolve().parent == root and safe not in ("", ".", "..") and "\0" not in safe


@given(NAMES)
def test_a_sweep_takes_no_other_name(name: str) -> None:
    if plain_name(name) == name:
        assert Options(name=name).name == name
    else:
        with pytest.raises(UserError, match="must be a plain folder name"):
            Options(name=name)


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../../x", "..", "C:\\x"])
def test_a_dataset_whose_name_is_a_path(name: str, mark: Path) -> None:
    Path("own.csv").write_text("user,item,time\n" + "".join(f"{u},{i},{i}\n" for u in range(9) for i in range(9)))
    before = {path for path in mark.parent.rglob("*") if not path.is_relative_to(mark.parent / "cache")}
    load_dataset(DataConfig(name=name, path="own.csv", core=1))
    assert {path for path in mark.parent.rglob("*") if not path.is_relative_to(mark.parent / "cache")} == before
    assert len(list((mark.parent / "cache" / "prepared").iterdir())) == 1


@given(st.lists(st.tuples(NAMES, st.binary(max_size=8)), max_size=5))
def test_archives_are_read_where_they_are(tmp_path_factory: pytest.TempPathFactory, members) -> None:
    """Nothing of an archive is unpacked: its names are looked at, never used as places."""
    folder = tmp_path_factory.mktemp("zip")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        others = {zipfile.ZipInfo(name).filename: content for name, content in members}
        others.pop("", None)
        for name, content in (others | {"../../../ratings.csv": b"outside", "/etc/movies.csv": b"absolute"}).items():
            archive.writestr(name, content)
        link = zipfile.ZipInfo("ml/links.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    files = Zip(folder / "a.zip")
    assert files.open("ratings.csv").read() == b"outside"
    assert files.open("links.csv").read() == b"/etc/passwd"  # the link's text, not what it names
    assert [path.name for path in folder.iterdir()] == ["a.zip"]
