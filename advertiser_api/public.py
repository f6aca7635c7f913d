"""What strangers may call; every other route declares whom it is for."""

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
PUBLIC_PREFIXES = ("/oauth/", "/.well-known/", "/log/")
PROBES = frozenset({"/healthz", "/readyz"})
"""What a load balancer asks all day; not limited."""


def is_public(path: str) -> bool:
    """Tell whether a path asks nobody who it is."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)
