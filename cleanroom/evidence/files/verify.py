"""Check a bundle of evidence offline, with Python alone: python -I verify.py BUNDLE.zip --key VERIFIER_KEY

Nothing of the room's software is used. With the package `cryptography` signatures are checked faster; without it they
are checked here. Exit code 0: everything holds; 1: something does not; 2: wrong usage.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
import zlib
from typing import Any, Dict, List, Optional, Set, Tuple

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None  # type: ignore[assignment, misc]

FORMAT = "cleanroom-evidence/v1"
ED25519, COSIGNATURE = 1, 4
VIEWS = ("policies.jsonl", "consents.jsonl", "keys.jsonl")
ALWAYS_SHOWN = (
    "rules.", "consent.", "room.created", "accounts.key_", "access.key_", "access.token_keys_", "workspaces.created",
    "workspaces.destroyed", "workspaces.kek_", "workspaces.token_secret_", "ingestion.token_key_", "signin.kek_",
    "signin.secret_made", "webhooks.kek_",
)  # fmt: skip
RECEIPTS = ("release.released", "release.refused")
MAX_LINE = 64 << 20
Key = Tuple[str, int, bytes, bytes]


class Damaged(Exception):  # noqa: N818 - it is what it says
    """The bundle does not prove what it says."""


class Unvouched(Exception):  # noqa: N818 - it is what it says
    """Nothing is wrong in itself, but the witnesses do not vouch for all that is shown."""


# --- RFC 6962 ---


def leaf_hash(record: bytes) -> bytes:
    """Hash one record."""
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows to the right by leaves and by whole subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self.edge: List[Tuple[int, bytes]] = []

    def push(self, node: bytes, leaves: int = 1) -> None:
        """Append a subtree of so many leaves, a power of two."""
        level = leaves.bit_length() - 1
        if leaves != 1 << level or self.size % leaves:
            raise Damaged(f"a subtree of {leaves} leaves cannot stand at {self.size}")
        self.size += leaves
        edge = self.edge
        while edge and edge[-1][0] == level:
            node = node_hash(edge.pop()[1], node)
            level += 1
        edge.append((level, node))

    def root(self) -> bytes:
        """Return the root of all leaves so far."""
        if not self.edge:
            return hashlib.sha256(b"").digest()
        root = self.edge[-1][1]
        for _, node in reversed(self.edge[:-1]):
            root = node_hash(node, root)
        return root


def root_of_path(leaf: bytes, index: int, size: int, path: List[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        raise Damaged("a proof is for a place outside the log")
    node, last = index, size - 1
    for sibling in path:
        if last == 0:
            raise Damaged("a proof is too long")
        if node & 1 or node == last:
            leaf = node_hash(sibling, leaf)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise Damaged("a proof is too short")
    return leaf


def check_growth(size1: int, root1: bytes, size2: int, root2: bytes, path: List[bytes]) -> None:
    """Check that one log is the beginning of another (RFC 9162, section 2.1.4.2)."""
    if size1 == size2:
        if root1 != root2 or path:
            raise Damaged(f"two logs of {size1} events differ: the log was forked")
        return
    if not 0 < size1 < size2 or not (path or size1 & (size1 - 1) == 0):
        raise Damaged("a proof that the log only grew has no usable sizes")
    if size1 & (size1 - 1) == 0:
        path = [root1, *path]
    first, last = size1 - 1, size2 - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            raise Damaged("a proof that the log only grew is too long")
        if first & 1 or first == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new = node_hash(new, node)
        first, last = first >> 1, last >> 1
    if last or old != root1 or new != root2:
        raise Damaged("the log at the bundle's making does not continue the bundle's log: it was forked")


# --- Ed25519 (RFC 8032), for machines without `cryptography` ---

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = Tuple[int, int, int, int]


def point_add(a: Point, b: Point) -> Point:
    """Add two points in extended coordinates (section 5.1.4)."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    x, y, z, t = f - e, h - g, h + g, f + e
    return x * y % P, z * t % P, y * z % P, x * t % P


def point_times(number: int, point: Point) -> Point:
    """Multiply a point."""
    result: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = point_add(result, point)
        point, number = point_add(point, point), number >> 1
    return result


def point_read(data: bytes) -> Point:
    """Read a compressed point (section 5.1.3)."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise Damaged("a signature or a key is no point of the curve")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_read((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signature_good(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature is good."""
    if len(public) != 32 or len(signature) != 64:
        return False
    if Ed25519PublicKey is not None:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
    number = int.from_bytes(signature[32:], "little")
    if number >= ORDER:
        return False
    try:
        key, commitment = point_read(public), point_read(signature[:32])
    except Damaged:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = point_times(number, BASE), point_add(commitment, point_times(challenge, key))
    same_x = (left[0] * right[2] - right[0] * left[2]) % P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- signed notes (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature) ---


def read_key(text: str) -> Key:
    """Read a verifier key: name, type, public key, key id."""
    try:
        name, key_id, encoded = text.strip().split("+", 2)
        material = base64.b64decode(encoded, validate=True)
        found = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
        if len(material) == 33 and material[0] in (ED25519, COSIGNATURE) and found.hex() == key_id:
            return name, material[0], material[1:], found
    except ValueError:
        pass
    raise ValueError("no verifier key: name+8 hex digits+base64")


def open_note(note: str, key: Key) -> Tuple[str, int, bytes]:
    """Check the signature of a key on a note and return origin, size and root; raises Damaged."""
    body, blank, signatures = note.rpartition("\n\n")
    text, good = body + "\n", False
    name, kind, public, key_id = key
    for line in signatures.splitlines():
        mark, signer, encoded = [*line.split(" "), "", ""][:3]
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise Damaged("a signature line is malformed") from None
        if mark != "\u2014" or signer != name or data[:4] != key_id:
            continue
        message, signature = text.encode(), data[4:]
        if kind == COSIGNATURE:
            seconds = int.from_bytes(signature[:8], "big")
            message, signature = f"cosignature/v1\ntime {seconds}\n".encode() + message, signature[8:]
        if not signature_good(public, message, signature):
            raise Damaged(f"a signature of {name} does not verify: forged, or of a changed checkpoint")
        good = True
    if not blank or not good:
        raise Damaged(f"a checkpoint is not signed by the key of {name}: another key signed it, or none")
    lines = text.split("\n")
    if len(lines) != 4 or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        raise Damaged("a checkpoint has not the three lines: origin, size, root")
    return lines[0], int(lines[1]), unbase64(lines[2])


def unbase64(text: Any) -> bytes:
    """Read a hash of 32 bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Damaged("a hash is not base64") from None
    if len(data) != 32:
        raise Damaged("a hash has not 32 bytes")
    return data


# --- the bundle ---


def pairs_once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """Make an object of JSON's pairs, none of them twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Damaged("a field stands twice")
    return made


def parse(data: bytes) -> Dict[str, Any]:
    """Read an object of JSON."""
    try:
        content = json.loads(data, object_pairs_hook=pairs_once)
    except (ValueError, RecursionError):
        raise Damaged("a line or a file is not JSON") from None
    if not isinstance(content, dict):
        raise Damaged("a line or a file is no object")
    return content


class Lines:
    """The lines of one file of the bundle, one ahead, hashed as they pass."""

    def __init__(
        self, archive: zipfile.ZipFile, name: str, stated: Dict[str, Any], by: str = "index"
    ) -> None:
        self.name, self.stated, self.by = name, stated, by
        self.file = archive.open(name)
        self.digest, self.last = hashlib.sha256(), -1
        self.ahead: Optional[Dict[str, Any]] = None
        self.step()

    def step(self) -> Optional[Dict[str, Any]]:
        """Return the line ahead and read the next one."""
        line, data = self.ahead, self.file.readline(MAX_LINE)
        self.digest.update(data)
        self.ahead = parse(data) if data else None
        if self.ahead is not None:
            place = self.ahead.get(self.by)
            if type(place) is not int or place <= self.last:
                raise Damaged(f"{self.name}: a line is out of order after {self.by} {self.last}")
            self.last = place
        return line

    def end(self) -> None:
        """Make sure that all was read, and that it is what the manifest states."""
        if self.ahead is not None:
            raise Damaged(f"{self.name}: {self.by} {self.last} belongs to nothing in the log")
        if self.digest.hexdigest() != self.stated["sha256"]:
            raise Damaged(f"{self.name} is not the file that the manifest names")


class Bundle:
    """One bundle and whom to believe."""

    def __init__(
        self, archive: zipfile.ZipFile, key: Key, witnesses: List[Key], quorum: int, against: List[str]
    ) -> None:
        self.archive, self.key, self.witnesses, self.quorum = archive, key, witnesses, quorum
        self.tree, self.vouched, self.receipts = Tree(), 0, 0
        self.shown: List[int] = []
        self.waiting: Set[int] = set()
        self.against: Dict[int, bytes] = {}
        for note in against:
            origin, size, root = open_note(note, key)
            if origin != key[0] or self.against.setdefault(size, root) != root:
                raise Damaged(
                    f"two of the checkpoints to compare with differ at {size} events: the log was forked"
                )

    def run(self, allow_tail: bool = False) -> str:
        """Check everything; returns what was found."""
        names = [entry.filename for entry in self.archive.infolist()]
        data = self.archive.read("manifest.json")
        self.manifest = manifest = parse(data)
        if manifest.get("format") != FORMAT or manifest.get("v") != 1:
            raise Damaged(f"the bundle is not of the format {FORMAT}")
        if sorted(names) != sorted([*manifest["files"], "manifest.json", "manifest.proof.json"]):
            raise Damaged("the bundle holds other files than its manifest names")
        self.origin, self.size, self.root = open_note(manifest["checkpoint"], self.key)
        if (self.origin, self.size) != (self.key[0], manifest["size"]):
            raise Damaged("the manifest's head is of another log, or of another size than it says")
        made = self.check_manifest(data)
        for name in set(names) & {"verify.py", "README.en.md", "README.ru.md"}:
            if hashlib.sha256(self.archive.read(name)).hexdigest() != manifest["files"][name]["sha256"]:
                raise Damaged(f"{name} is not the file that the manifest names")
        count = self.check_log()
        missing = [size for size in self.against if size > self.size]
        if missing:
            raise Damaged(
                f"the log was rolled back: it holds {self.size} events, a checkpoint of yours {missing[0]}"
            )
        if self.against:
            raise Damaged(
                f"the bundle cannot be compared at {min(self.against)} events: have it made with --against"
            )
        return (
            f"{count} events shown of {self.size} in {self.origin}, {self.receipts} receipts, "
            f"{self.vouching(allow_tail)}, root {self.root.hex()}, made {made}"
        )

    def vouching(self, allow_tail: bool) -> str:
        """Say how far the witnesses vouch for the log; raises Unvouched when more than that is shown."""
        if not self.witnesses:
            return "vouched for by nobody, as no witness was given"
        said = f"vouched for up to {self.vouched} of {self.size} by the witnesses"
        # Whoever holds the room's key can write anything behind the last head that the witnesses saw.
        beyond = sum(index >= self.vouched for index in self.shown)
        if beyond and not (allow_tail and self.vouched):
            first = next(index for index in self.shown if index >= self.vouched)
            raise Unvouched(f"{beyond} of the events shown, from event {first} on, lie beyond: {said}")
        return f"{said} ({beyond} of the events shown lie beyond)" if beyond else said

    def check_manifest(self, data: bytes) -> str:
        """Check that the log itself states the manifest, further on; returns when."""
        proof = parse(self.archive.read("manifest.proof.json"))
        origin, size, root = open_note(proof["checkpoint"], self.key)
        record = proof["record"].encode()
        path = [unbase64(node) for node in proof["proof"]]
        if root_of_path(leaf_hash(record), proof["index"], size, path) != root or origin != self.origin:
            raise Damaged("the event that vouches for the manifest is not in the log")
        event = parse(record)
        stated = event["body"].get("manifest_sha256")
        if event["kind"] != "evidence.bundle_made" or stated != hashlib.sha256(data).hexdigest():
            raise Damaged("the manifest is not the one that the log states")
        check_growth(self.size, self.root, size, root, [unbase64(node) for node in proof["consistency"]])
        return str(event["at"])

    def lines(self, name: str, by: str = "index") -> Lines:
        """Open a file of lines."""
        return Lines(self.archive, name, self.manifest["files"][name], by)

    def check_log(self) -> int:
        """Rebuild the tree from events and hashes, and compare everything on the way; returns how many events."""
        events, receipts = self.lines("events.jsonl"), self.lines("receipts.jsonl")
        checkpoints = self.lines("checkpoints.jsonl", "size")
        views, wanted, tree, count = (
            [self.lines(name) for name in VIEWS],
            self.manifest["wanted"],
            self.tree,
            0,
        )
        for line in iter(events.step, None):
            if line["index"] != tree.size:
                raise Damaged(f"events.jsonl: events are missing or moved at {tree.size}")
            if "record" in line:
                record = line["record"].encode("utf-8", "surrogatepass")
                leaf = leaf_hash(record)
                content = parse(record)
                self.check_wanted(content, wanted)
                for view in views:
                    if view.ahead is not None and view.ahead["index"] == tree.size:
                        self.check_view(view, content)
                if receipts.ahead is not None and receipts.ahead["index"] == tree.size:
                    self.take_receipt(receipts.step() or {}, content)
                self.shown.append(tree.size)
                tree.push(leaf)
                count += 1
            else:
                tree.push(unbase64(line["hash"]), line["leaves"])
            while checkpoints.ahead is not None and checkpoints.ahead["size"] <= tree.size:
                self.check_checkpoint(checkpoints.step() or {})
            if tree.size in self.against and self.against.pop(tree.size) != tree.root():
                raise Damaged(f"the log was rewritten: it differs from your checkpoint of {tree.size} events")
        if (tree.size, tree.root()) != (self.size, self.root):
            raise Damaged("the events do not give the signed root: one was changed, added, removed or moved")
        for lines in (events, receipts, checkpoints, *views):
            lines.end()
        if self.waiting or count != self.manifest["events"]:
            raise Damaged("a receipt's checkpoint is missing, or the number of events is not the manifest's")
        return count

    def check_wanted(self, content: Dict[str, Any], wanted: Dict[str, Any]) -> None:
        """Make sure that the bundle shows nothing that it was not to show."""
        mine = wanted["organisation_id"] in (None, content["organisation"])
        in_time = wanted["until"] is None or content["at"] < wanted["until"]
        recent = wanted["since"] is None or content["at"] >= wanted["since"]
        if not mine or not in_time or not (recent or content["kind"].startswith(ALWAYS_SHOWN)):
            raise Damaged(f"event {self.tree.size} is not one that the manifest says are shown")

    def check_view(self, view: Lines, content: Dict[str, Any]) -> None:
        """Compare a line of policies, consents or keys with the event that it repeats."""
        line = view.step() or {}
        if {name: value for name, value in line.items() if name != "index"} != {
            name: content[name] for name in ("at", "kind", "organisation", "subject", "body")
        }:
            raise Damaged(f"{view.name}: what it says of event {line['index']} is not what the log says")

    def take_receipt(self, line: Dict[str, Any], content: Dict[str, Any]) -> None:
        """Note that an answer's receipt leads to the log of some size: its checkpoint has to come."""
        size = line["size"]
        if content["kind"] not in RECEIPTS or type(size) is not int or size <= line["index"]:
            raise Damaged(
                f"receipts.jsonl: event {line['index']} is no answer, or not in the log of its receipt"
            )
        self.waiting.add(size)
        self.receipts += 1

    def check_checkpoint(self, line: Dict[str, Any]) -> None:
        """Check a signed head against the tree at its size, with all that waits for it."""
        origin, size, root = open_note(line["note"], self.key)
        if (origin, size) != (self.origin, line["size"]) or size != self.tree.size:
            raise Damaged(
                f"checkpoints.jsonl: the one of {line['size']} events is another's, or cannot be compared"
            )
        if root != self.tree.root():
            raise Damaged(f"the first {size} events do not give the root that was signed: the log was forked")
        self.waiting.discard(size)
        count = 0
        for witness in self.witnesses:
            if f"\u2014 {witness[0]} " in line["note"]:
                open_note(line["note"], witness)
                count += 1
        # Sizes ascend: the last one is the largest.
        if self.witnesses and count >= self.quorum:
            self.vouched = size


def text_or_file(given: str) -> str:
    """Return an argument, or what the file that it names holds."""
    if re.fullmatch(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", given.strip()):
        return given
    with open(given, encoding="utf-8") as file:  # noqa: PTH123 - as plain as can be
        return file.read()


def main(arguments: Optional[List[str]] = None) -> int:
    """Check the bundle that the arguments name; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check a bundle of evidence offline.")
    parser.add_argument("bundle")
    parser.add_argument(
        "--key", required=True, help="the room's verifier key, or its file; never from the bundle"
    )
    parser.add_argument(
        "--witness", action="append", default=[], help="a witness's verifier key, or its file"
    )
    parser.add_argument(
        "--quorum", type=int, help="how many witnesses have to vouch; all of those given if left out"
    )
    parser.add_argument(
        "--against", action="append", default=[], help="a file with a checkpoint that you kept"
    )
    parser.add_argument(
        "--allow-tail",
        action="store_true",
        help="accept events younger than the last head that the witnesses vouched for; how many is said",
    )
    given = parser.parse_args(arguments)
    try:
        key = read_key(text_or_file(given.key))
        # A witness that is named twice vouches once.
        witnesses = list(dict.fromkeys(read_key(text_or_file(one)) for one in given.witness))
        against = [text_or_file(one) for one in given.against]
    except (OSError, ValueError) as error:
        print(f"cannot be used: {error}", file=sys.stderr)
        return 2
    quorum = len(witnesses) if given.quorum is None else given.quorum
    of_a_log = any(kind != COSIGNATURE for _, kind, _, _ in witnesses)
    if of_a_log or (given.quorum is not None and not 1 <= quorum <= len(witnesses)):
        print("cannot be used: a quorum is 1 to all of the witnesses, by keys of witnesses", file=sys.stderr)
        return 2
    try:
        with zipfile.ZipFile(given.bundle) as archive:
            found = Bundle(archive, key, witnesses, quorum, against).run(given.allow_tail)
    except Unvouched as error:
        print(f"UNVOUCHED {error}")
        return 1
    except Damaged as error:
        print(f"DAMAGED {error}")
        return 1
    except (
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        EOFError,
    ) as error:
        print(f"DAMAGED the bundle has not the form of one ({type(error).__name__}: {error})")
        return 1
    except OSError as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    print(f"INTACT {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
