"""The surface for providers and compliance officers: cabinet and console, over the domain's services alone."""
