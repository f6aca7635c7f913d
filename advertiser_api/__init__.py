"""The surface for advertisers and agencies: HTTP under /v1, over the services of the domain."""
