"""The provider's cabinet, a page or a few per file."""
