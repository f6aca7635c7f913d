"""Registered tables: their schema, their immutable versions, the sealed files of each version."""
