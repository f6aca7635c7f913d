"""An organisation's isolated container: its own keys, its own storage, its population."""
