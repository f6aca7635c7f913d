"""Strings that consent platforms pass on: IAB TCF and GPP, read strictly; what they say is kept beside them."""
