"""Who may call the room: API clients, users, access tokens, and what a call was answered with before."""
