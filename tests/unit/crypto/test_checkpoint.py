"""Checkpoints are C2SP notes: written as the standard asks, and nothing looser is read."""

import base64

import pytest

from crypto.checkpoint import (
    CheckpointError,
    format_checkpoint,
    open_note,
    parse_verifier_key,
    sign_note,
    verifier_key,
)
from crypto.keys import generate_signing_key, public_key

SEED = bytes(range(32))
NAME = "room.example/log"
VERIFIER = verifier_key(NAME, public_key(SEED))
TEXT = f"{NAME}\n5\n{base64.b64encode(bytes(32)).decode()}\n"
NOTE = sign_note(TEXT, name=NAME, seed=SEED)


def test_a_checkpoint_reads_as_it_was_written() -> None:
    assert format_checkpoint(NAME, 5, bytes(32)) == TEXT
    checkpoint = open_note(NOTE, VERIFIER)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root, checkpoint.text) == (
        NAME,
        5,
        bytes(32),
        TEXT,
    )
    assert parse_verifier_key(VERIFIER + "\n").public == public_key(SEED)


def test_gos_published_note_opens_with_its_published_key() -> None:
    # From the documentation of golang.org/x/mod/sumdb/note; its text is no checkpoint: only that is refused.
    verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    with pytest.raises(CheckpointError, match="three lines"):
        open_note(note, verifier)
    with pytest.raises(CheckpointError, match="does not verify"):
        open_note(note.replace("answer", "Answer"), verifier)


def test_signatures_of_others_stand_beside_ours() -> None:
    witness = sign_note(TEXT, name="witness.example", seed=generate_signing_key()).rpartition("\n\n")[2]
    same_name = sign_note(TEXT, name=NAME, seed=generate_signing_key()).rpartition("\n\n")[2]
    assert open_note(NOTE + witness + same_name, VERIFIER).size == 5


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        TEXT + "\n",
        NOTE.removesuffix("\n"),
        NOTE.replace("—", "-"),
        NOTE + "\n",
        NOTE + "— \n",
        NOTE + "— short AAAA\n",
        NOTE + "— name !!!!\n",
        NOTE + NOTE.rpartition("\n\n")[2],
        sign_note(TEXT, name=NAME, seed=bytes(32)),
        sign_note(TEXT, name="other.example", seed=SEED),
        NOTE.replace("\n5\n", "\n6\n"),
        NOTE + "— w AAAAAAAA\n" * 100,
        "x" * 70_000,
        "я" * 40_000,
        "\ud800" + NOTE,
    ],
)
def test_whatever_is_not_signed_by_the_verifier_is_refused(note: str) -> None:
    with pytest.raises(CheckpointError):
        open_note(note, VERIFIER)


@pytest.mark.parametrize(
    "text",
    [
        f"{NAME}\n05\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{NAME}\n-5\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{NAME}\n5\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{NAME}\n5\n{'A' * 42}B=\n",
        f"\n5\n{base64.b64encode(bytes(32)).decode()}\n",
        f"a\tb\n5\n{base64.b64encode(bytes(32)).decode()}\n",
        TEXT + "extension\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        open_note(sign_note(text, name=NAME, seed=SEED), VERIFIER)


@pytest.mark.parametrize("origin", ["", "two\nlines", "a\x00b"])
def test_origins_that_cannot_stand_in_a_checkpoint_are_refused(origin: str) -> None:
    with pytest.raises(CheckpointError):
        format_checkpoint(origin, 1, bytes(32))


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb"])
def test_names_that_cannot_stand_in_a_note_are_refused(name: str) -> None:
    with pytest.raises(CheckpointError):
        sign_note(TEXT, name=name, seed=SEED)
    with pytest.raises(CheckpointError):
        verifier_key(name, public_key(SEED))


def test_texts_without_a_last_newline_and_short_keys_are_refused() -> None:
    with pytest.raises(CheckpointError, match="newline"):
        sign_note(TEXT.rstrip(), name=NAME, seed=SEED)
    with pytest.raises(CheckpointError, match="32 bytes"):
        verifier_key(NAME, bytes(31))


@pytest.mark.parametrize(
    "text",
    [
        "",
        NAME,
        VERIFIER[:-4],
        VERIFIER.replace("+A", "+B", 1),
        "x" + VERIFIER,
        VERIFIER.replace(NAME, "a b"),
        f"{NAME}+00000000+{base64.b64encode(bytes([1]) + public_key(SEED)).decode()}",
        f"{NAME}+00000000+{base64.b64encode(bytes([4]) + public_key(SEED)).decode()}",
        f"{NAME}+00000000+!",
    ],
)
def test_malformed_verifier_keys_are_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(CheckpointError, match="name\\+8 hex digits"):
        parse_verifier_key(text)
