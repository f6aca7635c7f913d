"""The SDK starts fast and pulls nothing in that it does not need yet."""

import subprocess
import sys

HEAVY = "httpx numpy openpyxl pandas phonenumbers polars pyrage rich stamina yaml"
SERVER = "alembic authlib fastapi joserfc opendp pydantic sqlalchemy starlette structlog uvicorn"


def loaded(code: str, names: str) -> list[str]:
    program = f"import sys\n{code}\nprint(*sorted(set({names.split()!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_a_client_imports_nothing_heavy() -> None:
    assert loaded("from cleanroom import AsyncClient, Client", f"{HEAVY} {SERVER}") == []


def test_a_client_at_work_needs_no_server() -> None:
    code = (
        "import cleanroom.client.remote.drivers, cleanroom.client.contents, cleanroom.client.frames\n"
        "import cleanroom.client.suggesting, cleanroom.client.remote.login"
    )
    assert loaded(code, SERVER) == []
