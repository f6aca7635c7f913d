"""Telling organisations of what has happened, at addresses of their own: signed, repeated, and made from the log."""
