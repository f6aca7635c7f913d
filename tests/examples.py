"""How many examples a property is tried on: fewer in every run of the tests, all of them in the long one."""

import os

MANY = os.environ.get("CLEANROOM_TEST_EXAMPLES") == "many"
"""Set by `make test-long`."""
_PART = 0.4


def up_to(many: int) -> int:
    """Return the number of examples for this run."""
    return many if MANY else round(many * _PART)
