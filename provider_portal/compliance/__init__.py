"""Pages for compliance: what the room knows that answers who, what, when and under which rule; a file per area."""
