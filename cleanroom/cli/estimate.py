"""`cleanroom estimate`: see `cleanroom.cli.ask`."""

from cleanroom.cli.ask import estimate_app as app

__all__ = ["app"]
