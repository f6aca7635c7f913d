"""NIST's AES vectors, through the very calls that sealed files and tokens make."""

from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms

from crypto.sealed_format import gcm_open, gcm_seal
from crypto.tokens import invert, tokenise

AES = Path(cryptography_vectors.__file__).parent / "ciphers" / "AES"
ECB_FILES = ("ECBGFSbox256", "ECBKeySbox256", "ECBVarKey256", "ECBVarTxt256")


def records(path: Path) -> Iterator[dict[str, str]]:
    """Read a .rsp file; bracketed parameters apply until the next ones, a blank line ends a record."""
    parameters: dict[str, str] = {}
    record: dict[str, str] = {}
    for line in [*path.read_text().splitlines(), ""]:
        text = line.strip()
        name, _, value = (part.strip() for part in text.strip("[]").partition("="))
        if text.startswith("[") and not value:
            parameters["section"] = name
        elif text.startswith("["):
            parameters[name] = value
        elif text == "FAIL":
            record["FAIL"] = "yes"
        elif text and not text.startswith("#"):
            record[name] = value
        elif record:
            yield parameters | record
            record = {}


def gcm_cases(name: str) -> list[dict[str, str]]:
    # Sealed files use 96-bit nonces and whole tags only, so only these cases apply.
    return [case for case in records(AES / "GCM" / name) if case["IVlen"] == "96" and case["Taglen"] == "128"]


def test_sealing_gives_nists_ciphertext_and_tag() -> None:
    cases = gcm_cases("gcmEncryptExtIV256.rsp")
    assert len(cases) == 375
    for case in cases:
        plaintext = bytearray.fromhex(case["PT"])
        out = memoryview(bytearray(len(plaintext) + 16))
        key = algorithms.AES(bytes.fromhex(case["Key"]))
        nonce, associated = bytes.fromhex(case["IV"]), bytes.fromhex(case["AAD"])
        assert gcm_seal(key, nonce, associated, memoryview(plaintext), out) == len(out)
        assert out == bytes.fromhex(case["CT"] + case["Tag"])


def test_opening_gives_nists_plaintext_or_its_refusal() -> None:
    cases = gcm_cases("gcmDecrypt256.rsp")
    refused = 0
    for case in cases:
        sealed = memoryview(bytearray.fromhex(case["CT"] + case["Tag"]))
        out = memoryview(bytearray(b"\xaa" * (len(sealed) - 16)))
        key = algorithms.AES(bytes.fromhex(case["Key"]))
        good = gcm_open(key, bytes.fromhex(case["IV"]), bytes.fromhex(case["AAD"]), sealed, out)
        assert good == ("FAIL" not in case)
        assert out == (bytes.fromhex(case["PT"]) if good else bytes(len(out)))
        refused += not good
    assert len(cases) == 375
    assert refused > 100


@pytest.mark.parametrize("name", ECB_FILES)
def test_tokens_are_nists_single_block_aes_256(name: str) -> None:
    cases = list(records(AES / "ECB" / f"{name}.rsp"))
    assert cases
    for case in cases:
        key, block = bytes.fromhex(case["KEY"]), bytes.fromhex(case["PLAINTEXT"])
        token = tokenise(block + b"ignored half 16b", key=key)
        assert token == bytes.fromhex(case["CIPHERTEXT"])
        assert invert(token, key=key) == block
