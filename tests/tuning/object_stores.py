"""Object stores on loopback: an S3-compatible server whose content outlives its stops, and one of Google's kind."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import urllib.request
from collections.abc import Iterator
from unittest import mock
from urllib.parse import quote

from pyarrow import fs

LOOPBACK = "127.0.0.1"
BUCKET = "bucket"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


class S3:
    """moto's S3 server with one bucket."""

    def __init__(self) -> None:
        self.port = free_port()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{self.port}",
            "AWS_ACCESS_KEY_ID": "planted-key-id",
            "AWS_SECRET_ACCESS_KEY": "planted-secret-key",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.query = f"?endpoint_override={quote(f'{LOOPBACK}:{self.port}', safe='')}&scheme=http"
        """Names the server without the environment."""
        self.up()
        urllib.request.urlopen(urllib.request.Request(f"{self.environment['AWS_ENDPOINT_URL']}/{BUCKET}", method="PUT"))

    def up(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address=LOOPBACK, port=self.port, verbose=False)
        self._server.start()

    def down(self) -> None:
        """Refuse connections from now on; what is stored is kept."""
        self._server.stop()

    def ask_for_credentials(self) -> None:
        """Refuse every request from now on: nobody is known here."""
        self._moto("reset-auth", b"0")

    def ask_for_nothing(self) -> None:
        self._moto("reset-auth", b"inf")

    def _moto(self, action: str, content: bytes) -> None:
        url = f"{self.environment['AWS_ENDPOINT_URL']}/moto-api/{action}"
        urllib.request.urlopen(urllib.request.Request(url, content, {"Content-Type": "text/plain"}))

    def files(self, under: str = "") -> dict[str, bytes]:
        """Content of every object, by path below the bucket."""
        with mock.patch.dict(os.environ, self.environment):
            filesystem, path = fs.FileSystem.from_uri(f"s3://{BUCKET}/{under}")
            found = filesystem.get_file_info(fs.FileSelector(path.rstrip("/"), recursive=True, allow_not_found=True))
            return {
                file.path.removeprefix(f"{BUCKET}/"): filesystem.open_input_stream(file.path).read()
                for file in found
                if file.is_file
            }


@contextlib.contextmanager
def s3_server() -> Iterator[S3]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = S3()
    try:
        yield server
    finally:
        server.down()


@contextlib.contextmanager
def gcs_server() -> Iterator[str]:
    """An emulator of Google Cloud Storage with one bucket; yields the query that names it."""
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server(LOOPBACK, port, in_memory=True)
    server.start()
    try:
        bucket = json.dumps({"name": BUCKET}).encode()
        url = f"http://{LOOPBACK}:{port}/storage/v1/b?project=test"
        urllib.request.urlopen(urllib.request.Request(url, bucket, {"Content-Type": "application/json"}))
        yield f"?scheme=http&endpoint_override={quote(f'{LOOPBACK}:{port}', safe='')}&retry_limit_seconds=3"
    finally:
        server.stop()
