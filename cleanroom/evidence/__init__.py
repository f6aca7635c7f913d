"""Evidence that leaves the room: bundles of events that verify offline, with nothing of the room's but its key."""
