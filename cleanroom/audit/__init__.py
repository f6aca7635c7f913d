"""The append-only log of everything that changes state, its Merkle tree and its signed checkpoints."""
