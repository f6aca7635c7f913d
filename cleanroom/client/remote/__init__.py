"""The client's half of the room's HTTP interface, written once for callers that wait and for those that await."""
