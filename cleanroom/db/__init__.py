"""The SQL store: what is about organisations, rules and history; never a row about a person."""
