"""Attacks against a policy, run in throw-away rooms through the services that buyers and providers call."""
