"""A local S3 server with a bucket, for programs that read and write ``s3://`` addresses."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pyarrow.fs as pafs

__all__ = ("local_s3",)

START_SECONDS = 60


@contextlib.contextmanager
def local_s3(bucket: str) -> Iterator[dict[str, str]]:
    """Run moto's server as a process of its own, with an empty bucket.

    Args:
        bucket: the bucket's name.

    Yields:
        Environment variables under which ``s3://`` means this server, for this process and those that it starts.

    Raises:
        RuntimeError: The server does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(server, address)
        variables = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            make = pafs.S3FileSystem(allow_bucket_creation=True, region="us-east-1", endpoint_override=address)
            make.create_dir(bucket)
            yield variables
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
    finally:
        server.terminate()
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the S3 server ended with status {server.returncode}: is moto[server] installed?")
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the S3 server did not answer within {START_SECONDS} seconds")
