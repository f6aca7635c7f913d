"""What a room knows of one person, for the owner of the data; and how an opt-out took effect."""
