"""Timings against the raw limit; `python -m benchmarks.report`."""
