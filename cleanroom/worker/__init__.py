"""The process that does what requests do not wait for: counting questions, loading uploads, and what is due."""

from cleanroom.worker.process import run

__all__ = ["run"]
