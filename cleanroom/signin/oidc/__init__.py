"""OpenID Connect, as the one who relies on it: an identity provider's documents, and what it says of a person."""
