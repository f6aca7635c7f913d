"""The domain core of Cleanroom; it knows no web framework."""
