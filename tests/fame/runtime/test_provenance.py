"""The origin that a result records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fame.runtime import provenance


def test_everything_is_text() -> None:
    found = provenance.provenance()
    assert {"command", "date", "python", "torch", "cpu", "cpus", "gpus"} <= found.keys()
    assert all(isinstance(value, str) and value for value in found.values())


def test_passwords_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert provenance.mask_credentials("at http://me:p@ss@host:1/x?a=b@c!") == "at http://***@host:1/x?a=b@c!"
    assert provenance.mask_credentials("mail me@host sqlite:///a@b.db") == "mail me@host sqlite:///a@b.db"
    monkeypatch.setattr(sys, "orig_argv", ["python", "sweep.py", "--tracking-uri=http://me:secret@host"])
    assert provenance.command_line() == "python sweep.py --tracking-uri=http://***@host"


@pytest.mark.parametrize(
    "name",
    ["access_key", "AWSAccessKeyId", "secret", "X-Amz-Security-Token", "sig", "sas", "password", "X-Amz-Signature"],
)
def test_secrets_among_the_parameters_of_an_address_are_masked(name: str) -> None:
    address = f"s3://bucket/runs?region=x&{name}=s3cr%2Ft&scheme=http"
    assert provenance.has_credentials(address)
    assert provenance.mask_credentials(f"at '{address}' now") == (
        f"at 's3://bucket/runs?region=x&{name}=***&scheme=http' now"
    )


def test_addresses_without_secrets_stay_as_they_are() -> None:
    for address in (
        "s3://bucket/runs?endpoint_override=127.0.0.1%3A9000&scheme=http&region=eu-west-1",
        "gs://anonymous@bucket/runs?retry_limit_seconds=5",
        "http://mlflow:5000",
        "sqlite:///a@b.db",
        "/home/key=1/secret",
    ):
        assert not provenance.has_credentials(address), address
    assert provenance.has_credentials("https://me:@host") and provenance.has_credentials("s3://id:p@ss@bucket/x")


def test_commit_of_this_tree_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    file = package / "provenance.py"
    file.write_text("1")
    monkeypatch.setattr(provenance, "__file__", str(file))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    assert provenance.git_commit() == {}  # no repository
    git("init")
    git("commit", "--allow-empty", "-m", "somebody else's")
    assert provenance.git_commit() == {}  # not part of the repository around it
    git("add", ".")
    git("commit", "-m", "ours")
    clean = provenance.git_commit()
    assert len(clean["commit"]) == 40 and clean["dirty"] == "false"
    file.write_text("2")
    assert provenance.git_commit() == {**clean, "dirty": "true"}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_commit() == {}  # no git
