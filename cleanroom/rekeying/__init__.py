"""Rotations of workspaces' keys as work that somebody asks for and a worker does."""
