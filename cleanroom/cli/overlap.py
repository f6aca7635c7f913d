"""`cleanroom overlap`: see `cleanroom.cli.ask`."""

from cleanroom.cli.ask import overlap_app as app

__all__ = ["app"]
