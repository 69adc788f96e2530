"""Bad input: one clear line on standard error, exit code 2, no traceback, nothing left behind."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fame import recommend, train
from fame.datasets import __main__ as datasets
from tests.commands import Done, call, write_config
from tuning import sweep

ROOT = Path(__file__).parent.parent
MAINS = {"datasets": datasets.main, "train": train.main, "sweep": sweep.main, "recommend": recommend.main}

GOOD = "".join(f"{user},{item},{10 * user + item}\n" for user in range(6) for item in range(6))
HEADER = "user,item,time\n"
FILES: dict[str, str | bytes] = {
    "good.csv": HEADER + GOOD,
    "no-time.csv": "user,item,when\n" + GOOD,
    "bad-time.csv": HEADER + GOOD + "7,1,yesterday\n",
    "empty.csv": "",
    "header.csv": HEADER,
    "blank.csv": "\n\n\n",
    "lonely.csv": HEADER + "".join(f"{user},1,{user}\n" for user in range(9)),
    "sparse.csv": HEADER + "".join(f"{user},{user + i},{i}\n" for user in range(0, 50, 4) for i in range(4)),
    "mixed.csv": HEADER + "".join(f"1,{i},{1_700_000_000 + i}\n" for i in range(9)) + "1,9,1700000009000\n",
    "quote.csv": HEADER + GOOD + '7,"a,b",1\n7,"1,3\n8,"2,4\n',
    "headless.csv": GOOD,
    "nan.csv": HEADER + GOOD + "7,NaN,3\n",
    "ragged.csv": HEADER + GOOD + "7,1\n",
    "random.csv": random.Random(0).randbytes(10_000_000),
    "text.csv": b"user,item,time\n" + random.Random(1).randbytes(10_000_000),
    "list.yaml": "- 1\n- 2\n",
    "text.yaml": "beauty\n",
    "broken.yaml": "model: {dim: 8\ntrain: [\n",
    "binary.yaml": b"\xff\xfe\x00\x01" * 100,
    "data-is-list.yaml": "data: [1]\n",
    "data-is-text.yaml": "data: beauty\n",
    "typo.yaml": "model: {haeds: 2}\n",
    "section.yaml": "trian: {epochs: 2}\n",
    "key-space.yaml": "search: {model.haeds: {choices: [1, 2]}}\n",
    "section-space.yaml": "serach: {model.heads: {choices: [1, 2]}}\n",
    "impossible-space.yaml": "search: {model.heads: {choices: [2, 4]}}\nconstraints: [model.heads > 8]\n",
    "heads-space.yaml": "search: {model.heads: {choices: [3, 5]}}\n",
    "test-space.yaml": "search: {data.core: {choices: [1, 2]}}\n",
    "broken-space.yaml": "search: {model.heads: {choices: [1, 2]}\n",
    "list-space.yaml": "- model.heads\n",
    "metric-space.yaml": "base: {train: {metric: ndcg@20}}\nsearch: {model.heads: {choices: [1, 2]}}\n",
    "sasrec-space.yaml": "base: {model: {name: sasrec}}\nsearch: {model.heads: {choices: [1, 2]}}\n",
}

OWN_DATA = [
    ("--data gone.csv", "no such file: …/gone.csv\n"),
    ("--data .", " holds no files; give a file, or a folder of CSV, TSV, Parquet or JSON files"),
    (
        "--data no-time.csv",
        "which column is the time? Name it with --columns time=NAME; columns there: user, item, when",
    ),
    ("--data good.csv --columns user=who", "no column 'who' (user); columns there: user, item, time"),
    ("--data good.csv --columns user", "--columns 'user': must look like user=NAME,item=NAME,time=NAME"),
    ("--data bad-time.csv", "time 'yesterday' in row 37 is not a number as in the rows before it"),
    ("--data empty.csv", "empty.csv is empty"),
    ("--data header.csv", "header.csv has no interactions"),
    ("--data blank.csv", "blank.csv is empty"),
    ("--data lonely.csv --set data.core=1", "data.min_history = 3 leaves nothing of lonely"),
    ("--data sparse.csv", "data.core = 5 leaves nothing of sparse: before it there were 13 users"),
    (
        "--data mixed.csv",
        "1700000000 in row 1 is in seconds, 1700000009000 in row 10 in milliseconds; correct them, or ",
    ),
    ("--data quote.csv", "item id '1,3\\n8,2' in row 38 holds a line end; close the quotation mark before it"),
    ("--data headless.csv", "looks like a row, not like column names (0, 0, 0); name the columns by number"),
    ("--data good.csv --where user", "data.where = 'user': "),
    ("--data good.csv --where user='7", 'data.where = "user=\'7": '),
    ("--data good.csv --where user>7", "good.csv has no interactions where user>7"),
    ("--data good.csv --where (select(1))=1", "'select' is not possible in it; give a condition on one row"),
    ("--data good.csv --separator ;;", "data.separator = ';;': must be one character"),
    ("--data good.csv --encoding klingon", "data.encoding = 'klingon': is no known text encoding"),
    ("--data good.csv --item-id a", "data.item_id = 'a': needs data.items"),
    ("--data nan.csv", "item id in row 37 is missing"),
    ("--data ragged.csv", "Expected 3 columns, got 2"),
    ("--data random.csv", "cannot read …/random.csv as CSV: it does not look like text"),
    ("--data text.csv", "text.csv"),
    ("--data good.csv --items gone.csv", "no such file: …/gone.csv\n"),
    ("--data good.csv --items no-time.csv --set data.min_rating=3", "data.min_rating needs ratings, and "),
    ("--dataset beuty", "unknown dataset 'beuty': did you mean 'beauty'? (known: "),
    ("--dataset zzzz", "unknown dataset 'zzzz': known: beauty, ml-100k, "),
    ("--dataset beauty --columns user=a", "data.columns = {'user': 'a'}: needs data.path (own data)"),
    ("--dataset beauty --data-dir nowhere", "nowhere"),
    ("--dataset synthetic --set data.cores=2", "data.cores…did you mean '…core'?"),
    ("--dataset synthetic --set data.size.users=0", "data.size.users = 0: must be at least 1"),
    ("--dataset synthetic --set data.core=0", "data.core = 0: must be at least 1"),
    ("--dataset synthetic --set data.core", "--set 'data.core': must look like section.key=value"),
    ("--dataset synthetic --set =3", "--set '=3': must look like section.key=value"),
    ("--dataset synthetic --set data.core=[", "--set 'data.core=[': the value is not valid YAML"),
    ("--dataset synthetic --set data.core=many", "data.core = 'many': must be of type int"),
    ("--dataset synthetic --set data.fingerprint=beef", "data.fingerprint = beef: synthetic from generated, "),
]
CASES = [
    *((command, args, words) for args, words in OWN_DATA for command in ("datasets", "train", "sweep")),
    *(
        (command, args, words)
        for args, words in [
            ("--set model.heads=3", "model.heads = 3: must divide"),
            ("--set model.haeds=2", "model.haeds…did you mean"),
            ("--set trian.epochs=2", "did you mean 'train"),
            ("--set train.epochs=0", "train.epochs = 0: must be at least 1"),
            ("--set train.lr=nan", "train.lr = nan: must be a finite number"),
        ]
        for command in ("train", "sweep")
    ),
    ("train", "--config gone.yaml", "no such file: gone.yaml"),
    ("train", "--config .", "cannot read .: "),
    ("train", "--config list.yaml", "list.yaml: must hold sections such as data, model and train"),
    ("train", "--config text.yaml", "text.yaml: must hold sections such as data, model and train"),
    ("train", "--config broken.yaml", "broken.yaml is not valid YAML"),
    ("train", "--config binary.yaml", "cannot read binary.yaml"),
    ("train", "--config data-is-list.yaml", "data = [1]: must be a mapping"),
    ("train", "--config data-is-list.yaml --dataset synthetic", "data = [1]: must be a mapping"),
    ("train", "--config data-is-text.yaml --dataset synthetic", "data = 'beauty': must be a mapping"),
    ("train", "--config typo.yaml", "unknown configuration key 'model.haeds': did you mean 'heads'?"),
    ("train", "--config section.yaml", "unknown configuration key 'trian': did you mean 'train'?"),
    ("train", "--set train.metric=ndcg@11", "train.metric = 'ndcg@11': must be one of hr@5, ndcg@5, "),
    ("train", "--set model.name=fume", "unknown model 'fume': did you mean 'fame'? (known: atten_mixer, "),
    ("train", "--set seed=-1", "seed = -1: must be at least 0"),
    ("train", "--seeds 0", "--seeds 0: must be at least 1"),
    ("train", "--config tiny.yaml --output good.csv", "cannot write good.csv"),
    ("train", "--config tiny.yaml --output good.csv/below", "cannot write good.csv/below"),
    ("sweep", "--set train.metric=ndcg@5", "--set train.metric=…: would be ignored; use --metric instead"),
    ("sweep", "--set model.name=sasrec", "--set model.name=…: would be ignored; use --model instead"),
    ("sweep", "--set seed=1", "--set seed=…: would be ignored; use --seed instead"),
    ("sweep", "--epochs 2 --set train.epochs=3", "--set train.epochs=…: the option for it was given, too"),
    ("sweep", "--space metric-space.yaml", "base: train.metric = 'ndcg@20' would be ignored; take it out"),
    ("sweep", "--trials 0", "--trials 0: must be at least 1"),
    ("sweep", "--epochs 0", "--epochs 0: must be at least 1"),
    ("sweep", "--concurrent 0", "--concurrent 0: must be at least 1"),
    ("sweep", "--workers 0", "--workers 0: must be at least 1"),
    ("sweep", "--cpus-per-worker 0", "--cpus-per-worker 0: must be at least 1"),
    ("sweep", "--gpus-per-worker -1", "--gpus-per-worker -1: must not be negative"),
    ("sweep", "--gpus-per-worker nan", "--gpus-per-worker nan: must be a number"),
    ("sweep", "--gpus-per-worker 1.5", "--gpus-per-worker 1.5: above 1 it must be whole"),
    ("sweep", "--seed -1", "--seed -1: must not be negative"),
    ("sweep", "--metric ndcg", "train.metric = 'ndcg': must be one of hr@5, ndcg@5, "),
    ("sweep", "--model fume", "unknown model 'fume': did you mean 'fame'? (known: atten_mixer, "),
    (
        "sweep",
        "--space papr",
        "no space file 'papr': did you mean 'paper'? (known: atten_mixer, ",
    ),
    ("sweep", "--space gone.yaml", "no such file: gone.yaml"),
    ("sweep", "--space key-space.yaml", "unknown key 'model.haeds' of model 'fame': did you mean 'model.heads'?"),
    ("sweep", "--space section-space.yaml", "unknown section 'serach': did you mean 'search'?"),
    ("sweep", "--space impossible-space.yaml", "impossible space: none of "),
    ("sweep", "--space heads-space.yaml", "model.heads = 3: must divide"),
    ("sweep", "--space test-space.yaml", "trials that differ in it cannot be compared"),
    ("sweep", "--space broken-space.yaml", "broken-space.yaml is not valid YAML"),
    ("sweep", "--space list-space.yaml", "list-space.yaml: must be a mapping with the sections base, search, "),
    ("sweep", "--space sasrec-space.yaml --model fame", "is a space for model 'sasrec', not for --model fame"),
    (
        "sweep",
        "--model sasrec --set text.rares=2",
        "--set text.rares=…: model sasrec has no such setting: did you mean 'text.rare'?",
    ),
    ("sweep", "--set heads=2", "--set heads=…: model fame has no such setting: "),
    ("sweep", "--dataset synthetic --set data.name=beauty", "--set data.name=…: the option for it was given, too"),
    ("sweep", "--sampler grid", "train.lr is continuous, which a grid cannot list"),
    ("sweep", "--sampler grid --trials 3", "train.lr is continuous, which a grid cannot list"),
    ("sweep", "--name a/b", "--name 'a/b': must be a plain folder name"),
    ("sweep", "--name .hidden", "--name '.hidden': must be a plain folder name"),
    ("sweep", "--name a?b", "--name 'a?b': must be a plain folder name"),
    ("sweep", "--name=", "--name '': must be a plain folder name"),
    ("sweep", "--storage good.csv", "--storage good.csv: cannot write there"),
    ("sweep", "--storage good.csv/below", "--storage good.csv/below: cannot write there"),
    ("sweep", "--storage nonsense://there", "--storage nonsense://there: cannot write there"),
    ("sweep", "--resume", "--resume: there is no sweep under "),
    ("sweep", "--resume --name gone", "--resume: there is no sweep 'gone' at "),
    ("recommend", "--model gone --history 1", "gone holds no exported model"),
    ("recommend", "--model . --history 1", ". holds no exported model"),
    ("recommend", "--model . --history 1 --top 0", "--top 0: must be at least 1"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the unusable files that a case names."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("FAME_DOWNLOAD_URL", "http://127.0.0.1:9")
    started = SimpleNamespace(run_sweep=lambda *_: pytest.fail("the sweep has started"))
    monkeypatch.setitem(sys.modules, "tuning.driver.run", started)
    return folder


def put(folder: Path, args: list[str]) -> None:
    """Write those of `FILES` that the arguments name."""
    for name, content in FILES.items():
        if any(part == name for arg in args for part in arg.split("/")):
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if "tiny.yaml" in args:
        write_config(folder / "tiny.yaml")


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def assert_one_line(done: Done, words: str) -> None:
    assert all(part in done.err for part in words.split("…"))
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1 and done.err.endswith("\n")
    assert len(done.err) < 1000 and done.err.rstrip("\n").isprintable()
    assert done.code == 2


@pytest.mark.parametrize(("command", "args", "words"), CASES, ids=[f"{c} {a}" for c, a, _ in CASES])
def test_is_one_clear_line_and_leaves_nothing_behind(command, args, words, place):
    put(place, args.split())
    before = snapshot(place)
    done = call(MAINS[command], *args.split())
    assert_one_line(done, words)
    assert snapshot(place) == before
    prepared = place.parent / "cache" / "prepared"
    assert not prepared.exists() or all(not folder.name.startswith(".") for folder in prepared.iterdir())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["-m", "fame.datasets", "--data", "random.csv"], "random.csv as CSV: it does not look like text"),
        (["-m", "fame.train", "--set", "model.haeds=2"], "did you mean 'heads'?"),
        ([str(ROOT / "tuning" / "sweep.py"), "--set", "model.heads=3"], "model.heads = 3: must divide"),
        (["-m", "tuning.sweep", "--trials", "0"], "--trials 0: must be at least 1"),
    ],
)
def test_a_process_of_its_own_ends_so_too(command, words, place):
    put(place, command)
    before = snapshot(place)
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_line(Done(code=done.returncode, out=done.stdout, err=done.stderr), words)
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("command", "args", "words"),
    [
        ("train", "--cofnig a.yaml", "unknown option --cofnig: did you mean '--config'?"),
        ("train", "--seeds two", "--seeds 'two': must be a whole number"),
        ("datasets", "beauty toys", "unexpected argument 'toys'; "),
        ("sweep", "--trails 3", "unknown option --trails: did you mean '--trials'?"),
        ("sweep", "--trails=3", "unknown option --trails: did you mean '--trials'?"),
        ("sweep", "--zzzz", "unknown option --zzzz: command --help lists the options"),
        ("sweep", "--scheduler asho", "--scheduler asho: did you mean 'asha'? (known: asha, "),
        ("sweep", "--sampler best", "--sampler best: known: gp, grid, random, tpe"),
        (
            "sweep",
            "--trainer torch",
            "--trainer torch: there is no such option any more; leave it out: every sweep keeps",
        ),
        ("sweep", "--gpus-per-worker half", "--gpus-per-worker 'half': must be a number"),
        ("sweep", "--quiet --verbose", "--verbose: not allowed with argument --quiet"),
        ("sweep", "--trials", "--trials: expected one argument"),
        ("datasets", "--data a.csv --mixed-times covert", "--mixed-times covert: did you mean 'convert'?"),
        (
            "recommend",
            "--model best",
            "one of the arguments --history --user --all-users --users --histories is required",
        ),
        ("recommend", "--model best --history 1 --user 2", "--user: not allowed with argument --history"),
    ],
)
def test_an_unknown_option_or_value_is_one_line_with_the_nearest(command, args, words, place):
    assert_one_line(call(MAINS[command], *args.split()), words)
    assert not list(place.iterdir())


def test_a_user_with_one_interaction_is_left_out_and_said_so(place):
    (place / "own.csv").write_text(HEADER + GOOD + "lonely,1,1\n")
    write_config(place / "tiny.yaml", data={"name": "own", "path": "own.csv", "size": None, "core": 1})
    done = call(train.main, "--config", "tiny.yaml", "--set", "train.epochs=1")
    assert done.code == 0
    assert done.err == "own: 1 of 7 users left out by: users with ≥ 3\n"
    assert "6 users, 6 items, 36 interactions" in done.out


def test_items_that_are_partly_without_text_are_a_warning_with_the_share(place):
    (place / "own.csv").write_text(HEADER + GOOD)
    (place / "items.csv").write_text("item,title\n0,Zero\n3,Three\n")
    done = call(datasets.main, "--data", "own.csv", "--items", "items.csv")
    assert done.code == 0
    assert done.err.startswith("warning: ") and done.err.count("\n") == 1
    assert "items.csv covers 2 of 6 items (33.3%)" in done.err
