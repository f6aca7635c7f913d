"""Rights of people over their data: erasure, retention, acts of destruction, and the record of processing."""
