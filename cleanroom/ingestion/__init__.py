"""From an upload package to a published version: verify, validate, quarantine, tokenise, seal, publish."""
