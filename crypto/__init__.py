"""Formats and glue over vetted primitives: identifiers, tokens, sealed files, keys, packages, the audit tree."""
