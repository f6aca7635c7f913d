"""A second implementation from RFC 6962 and the C2SP documents alone accepts what the project makes.

Nothing between the two marks below comes from the project; whoever doubts our log can write the same.
"""

import base64
import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# --- independent ---


def independent_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + independent_root(leaves[:k]) + independent_root(leaves[k:])).digest()


def independent_path_root(m: int, n: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that PATH(m, D[n]) leads to, by the recursion that defines it (section 2.1.1)."""
    if n == 1:
        assert path == []
        return leaf
    k = 1
    while k * 2 < n:
        k *= 2
    if m < k:
        return hashlib.sha256(b"\x01" + independent_path_root(m, k, leaf, path[:-1]) + path[-1]).digest()
    return hashlib.sha256(b"\x01" + path[-1] + independent_path_root(m - k, n - k, leaf, path[:-1])).digest()


def independent_consistency(
    m: int, n: int, old: bytes, path: list[bytes], whole: bool
) -> tuple[bytes, bytes]:
    """Both roots that SUBPROOF(m, D[n], b) leads to (section 2.1.2)."""
    if m == n:
        if whole:
            assert path == []
            return old, old
        assert len(path) == 1
        return path[0], path[0]
    k = 1
    while k * 2 < n:
        k *= 2
    if m <= k:
        first, second = independent_consistency(m, k, old, path[:-1], whole)
        return first, hashlib.sha256(b"\x01" + second + path[-1]).digest()
    first, second = independent_consistency(m - k, n - k, old, path[:-1], False)
    return hashlib.sha256(b"\x01" + path[-1] + first).digest(), hashlib.sha256(
        b"\x01" + path[-1] + second
    ).digest()


def independent_open(note: bytes, vkey: str) -> tuple[str, int, bytes]:
    """Check one signature as c2sp.org/signed-note says and read the text as c2sp.org/tlog-checkpoint says."""
    name, key_hash, material = vkey.split("+", 2)
    key = base64.b64decode(material, validate=True)
    assert key[0] == 1
    assert len(key) == 33
    assert hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_hash
    text, _, signatures = note.rpartition(b"\n\n")
    text += b"\n"
    wanted = "— ".encode() + name.encode() + b" "
    (line,) = [line for line in signatures.splitlines() if line.startswith(wanted)]
    signature = base64.b64decode(line[len(wanted) :], validate=True)
    assert signature[:4].hex() == key_hash
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text)
    origin, size, root, end = text.decode().split("\n")
    assert end == ""
    assert str(int(size)) == size
    return origin, int(size), base64.b64decode(root, validate=True)


# --- the project's side ---


def test_a_checkpoint_and_its_proofs_verify_without_the_projects_code() -> None:
    from crypto import checkpoint, keys, merkle

    records = [os.urandom(40) for _ in range(37)]
    seed = keys.generate_signing_key()
    leaves = [merkle.leaf_hash(record) for record in records]
    source, name = merkle.in_memory(leaves), "room.example/cleanroom"
    vkey = checkpoint.verifier_key(name, keys.public_key(seed))

    for size in range(1, len(records) + 1):
        text = checkpoint.format_checkpoint(name, size, merkle.root_from(source, size))
        note = checkpoint.sign_note(text, name=name, seed=seed).encode()
        origin, told, root = independent_open(note, vkey)
        assert (origin, told) == (name, size)
        assert root == independent_root(
            [hashlib.sha256(b"\0" + record).digest() for record in records[:size]]
        )
        for index in range(size):
            leaf = hashlib.sha256(b"\0" + records[index]).digest()
            assert (
                independent_path_root(index, size, leaf, merkle.inclusion_from(source, index, size)) == root
            )
        for older in range(1, size + 1):
            old = independent_root(leaves[:older])
            proof = merkle.consistency_from(source, older, size)
            assert independent_consistency(older, size, old, proof, True) == (old, root)
