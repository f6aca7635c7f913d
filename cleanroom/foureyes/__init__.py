"""Deeds that nobody can take back: one person asks with a reason, another one confirms, and only then is it done."""
