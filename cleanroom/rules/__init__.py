"""Analysis-rule documents, their versions and the kill switch; the pure engine is in `policies`."""
