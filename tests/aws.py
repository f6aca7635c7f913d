"""What stands for AWS in tests: moto, answering at an address of this machine, as AWS's own services do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from moto.server import ThreadedMotoServer

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "of-tests",
    "AWS_SECRET_ACCESS_KEY": "of-tests",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
REGION = "eu-central-1"


@contextmanager
def serving() -> Iterator[str]:
    """Serve while the block runs, with credentials in the environment; yields the address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with patch.dict(os.environ, ENVIRON):
        yield f"http://{host}:{port}"
    server.stop()
