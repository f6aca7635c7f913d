"""Legal parties, their mandates for one another and the keys they sign uploads with."""
