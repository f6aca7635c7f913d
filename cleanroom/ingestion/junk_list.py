"""Naming and comparing junk values."""

import numpy as np

from cleanroom.ingestion.spool import Records


def ref_of(index: int) -> str:
    """Name the value at a position of the waiting list."""
    return f"shared-{index + 1}"


def without_known(found: Records, known: Records) -> Records:
    """Leave out the values that are on the list already."""
    return found[~np.isin(_identity(found), _identity(known))]


def _identity(records: Records) -> Records:
    made = np.empty(records.size, [("key", ">u2"), ("hi", ">u8"), ("lo", ">u8")])
    for name in ("key", "hi", "lo"):
        made[name] = records[name]
    return made.view("V18")
