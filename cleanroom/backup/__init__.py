"""Backups of a whole room, made while it runs, and putting one back."""
