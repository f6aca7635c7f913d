"""How people sign in: passwords, second factors, sessions, and the links that let somebody in once."""
