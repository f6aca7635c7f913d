"""The surface for advertisers and agencies: HTTP under /v1, over the domain's services; it holds no rules of its own."""
