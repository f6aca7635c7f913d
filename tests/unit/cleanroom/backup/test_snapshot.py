"""A backup knows every table that names sealed files."""

import pkgutil
from importlib import import_module

import cleanroom
from cleanroom.backup.snapshot import SEALED
from cleanroom.db.base import Base


def test_no_table_of_sealed_files_is_forgotten() -> None:
    for module in pkgutil.walk_packages(cleanroom.__path__, "cleanroom."):
        if module.name.rpartition(".")[2].endswith("models"):
            import_module(module.name)
    naming = {
        name
        for name, table in Base.metadata.tables.items()
        if {"object_key", "ciphertext_sha256"} <= set(table.c.keys())
    }
    assert naming == set(SEALED)
