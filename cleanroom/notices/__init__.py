"""Telling people what has happened, in the pages and by mail: made from the log, for those whose role opens it."""
