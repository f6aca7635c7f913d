"""Alarms for compliance: patterns in the log that somebody ought to look at, and who has looked."""
