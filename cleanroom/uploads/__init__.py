"""Resumable uploads: the way of a package from its owner's machine into ingestion."""
