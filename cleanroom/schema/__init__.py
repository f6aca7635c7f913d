"""What an owner declares about a file, and the format in which a prepared file travels; pure, no server."""
