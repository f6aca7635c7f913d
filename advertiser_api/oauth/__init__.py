"""The OAuth 2.0 authorization server: client credentials in, access tokens of minutes out."""
