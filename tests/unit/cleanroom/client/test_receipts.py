"""A receipt proves its record with the verifier key alone, and nothing that was touched proves anything."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from cleanroom.canonical import canonical_json
from cleanroom.client import receipts
from cleanroom.client.receipts import FORMAT, ReceiptError, assemble_receipt, verify_receipt
from crypto import merkle
from crypto.checkpoint import format_checkpoint, sign_note, verifier_key
from crypto.keys import generate_signing_key, public_key

ORIGIN = "room.test/cleanroom"
SEED = bytes(range(32))
KEY = verifier_key(ORIGIN, public_key(SEED))
RECORDS = [
    canonical_json(
        {"v": 1, "kind": "release.released", "subject": f"an_{at}", "body": {"город": "Казань", "n": at}}
    )
    for at in range(7)
]
Change = Callable[[dict[str, Any]], Any]


def receipt(at: int = 3, *, size: int = 7, seed: bytes = SEED, origin: str = ORIGIN) -> bytes:
    leaves = [merkle.leaf_hash(record) for record in RECORDS[:size]]
    note = sign_note(format_checkpoint(origin, size, merkle.root(leaves)), name=origin, seed=seed)
    return assemble_receipt(
        record=RECORDS[at],
        index=at,
        proof=merkle.inclusion_from(merkle.in_memory(leaves), at, size),
        checkpoint=note,
    )


def changed(change: Change) -> bytes:
    fields = json.loads(receipt())
    change(fields)
    return json.dumps(fields).encode()


@pytest.mark.parametrize(("at", "size"), [(0, 1), (0, 7), (3, 7), (6, 7), (4, 5)])
def test_a_receipt_proves_its_record_and_place(at, size):
    proven = verify_receipt(receipt(at, size=size), verifier_key=KEY)

    assert proven.record == json.loads(RECORDS[at])
    assert (proven.index, proven.size, proven.origin) == (at, size, ORIGIN)


def test_a_receipt_is_readable_text_that_survives_another_layout():
    text = receipt()

    assert "Казань".encode() in text
    assert verify_receipt(json.dumps(json.loads(text)).encode(), verifier_key=KEY).index == 3


def figure(fields):
    fields["record"]["body"]["n"] = 4


def note_of_another_log(fields):
    fields["checkpoint"] = json.loads(receipt(seed=generate_signing_key()))["checkpoint"]


def another_size(fields):
    fields["checkpoint"] = json.loads(receipt(size=6))["checkpoint"]


def swapped_proof(fields):
    fields["proof"].reverse()


def short_proof(fields):
    fields["proof"].pop()


def long_proof(fields):
    fields["proof"].append(base64.b64encode(bytes(32)).decode())


def no_base64(fields):
    fields["proof"][0] = "!" * 44


def another_place(fields):
    fields["index"] = 2


def beyond_the_end(fields):
    fields["index"] = 7


def negative_place(fields):
    fields["index"] = -1


def a_float_in_the_record(fields):
    fields["record"]["body"]["n"] = 3.5


def no_note(fields):
    fields["checkpoint"] = "no note at all"


@pytest.mark.parametrize(
    "change",
    [
        figure,
        note_of_another_log,
        another_size,
        swapped_proof,
        short_proof,
        long_proof,
        no_base64,
        another_place,
        beyond_the_end,
        negative_place,
        a_float_in_the_record,
        no_note,
    ],
)
def test_whatever_is_changed_the_receipt_proves_nothing_any_more(change):
    with pytest.raises(ReceiptError, match="does not verify") as caught:
        verify_receipt(changed(change), verifier_key=KEY)
    assert "anew" in caught.value.remedy


@pytest.mark.parametrize(
    "key",
    [
        verifier_key(ORIGIN, public_key(bytes(32))),
        verifier_key("another.room/cleanroom", public_key(SEED)),
        "no key",
    ],
)
def test_only_the_rooms_own_key_verifies(key):
    with pytest.raises(ReceiptError):
        verify_receipt(receipt(), verifier_key=key)


def missing(fields):
    del fields["proof"]


def surplus(fields):
    fields["verifier_key"] = KEY


def other_format(fields):
    fields["format"] = "cleanroom-receipt/v2"


def text_as_record(fields):
    fields["record"] = "text"


def true_as_index(fields):
    fields["index"] = True


def text_as_proof(fields):
    fields["proof"] = "text"


def numbers_as_proof(fields):
    fields["proof"] = [1]


def number_as_note(fields):
    fields["checkpoint"] = 1


@pytest.mark.parametrize(
    "change",
    [
        missing,
        surplus,
        other_format,
        text_as_record,
        true_as_index,
        text_as_proof,
        numbers_as_proof,
        number_as_note,
    ],
)
def test_what_is_not_shaped_like_a_receipt_is_named_so(change):
    with pytest.raises(ReceiptError, match=f"not a receipt of the format {FORMAT}"):
        verify_receipt(changed(change), verifier_key=KEY)


def test_a_list_is_no_receipt():
    with pytest.raises(ReceiptError, match="not a receipt"):
        verify_receipt(b"[]", verifier_key=KEY)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_named_so_whatever_it_is(content):
    with pytest.raises(ReceiptError, match="not JSON") as caught:
        verify_receipt(content, verifier_key=KEY)
    assert "receipts folder" in caught.value.remedy


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(receipts, "MAX_RECEIPT_BYTES", 100)

    with pytest.raises(ReceiptError, match="at most 100 bytes"):
        verify_receipt(b"{" * 101, verifier_key=KEY)
