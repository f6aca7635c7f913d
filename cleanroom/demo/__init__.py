"""The demo: a made-up population, both sides of a real room, and a picture of what the noise does."""
