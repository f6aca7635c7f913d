"""Thin commands; each group is imported only when it is called, so that the SDK's need no server."""
