"""What a compliance officer looks at besides the log itself: read-only views over what other slices keep."""
