"""A witness: a process of its own, with its own key, that vouches for a log as long as the log only grows."""
