"""The process that serves a sweep's pages until its standard input ends: see `tuning.dashboards`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard

from tuning.dashboards.named_study import NamedStudy
from tuning.dashboards.serving import HOST
from tuning.tracking.addresses import database_file, sqlite_uri


def main() -> None:
    args = _parser().parse_args()
    runs = contextlib.nullcontext() if args.runs is None else mlflow_pages(args.runs, args.runs_port)
    with runs:
        server = study_pages(NamedStudy(args.study, args.metric, args.mlflow), args.study_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.buffer.read()


class Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at a time."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """Without a line for each request."""

    def log_message(self, *args: object) -> None:
        pass


def study_pages(study: NamedStudy, port: int) -> WSGIServer:
    """Optuna's dashboard of a study, which it cannot write to."""
    return make_server(HOST, port, optuna_dashboard.wsgi(study), Server, Quiet)


@contextlib.contextmanager
def mlflow_pages(uri: str, port: int) -> Iterator[None]:
    """MLflow's pages of a database, by processes of a group of their own.

    They run in the database's folder. MLflow would make a folder as an address spells it: `what%3F` beside `what?`.
    """
    database = database_file(uri)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", sqlite_uri(Path(database.name))]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        command, cwd=database.parent, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it only reads
        process.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tuning.dashboards.servers", description=__doc__)
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--study-port", type=int, required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--mlflow", metavar="URL", required=True)
    parser.add_argument("--runs", metavar="URI")
    parser.add_argument("--runs-port", type=int)
    return parser


if __name__ == "__main__":
    main()
