"""Counting matched people: the engine protocol and the local engine over sorted tokens."""
