"""Our own canonical JSON against the reference implementation of RFC 8785, on whatever there is to write."""

import json
import unicodedata
from collections import ChainMap
from enum import IntEnum, StrEnum
from types import MappingProxyType

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cleanroom.canonical import NotCanonicalError, canonical_json
from tests.examples import up_to


class Colour(StrEnum):
    RED = "red"


class Digit(IntEnum):
    ONE = 1


# Plain letters, what has to be escaped, accents in two spellings, and both sides of the surrogates.
texts = st.text(
    st.sampled_from('ab"\\/\b\n\t\x00\x1f\x7féЖе́\u2028\ud7ff\ue000\uffff\U0001f600\U00010000'), max_size=6
)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


def composed(value):
    """Bring all text to NFC, naively."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {composed(key): composed(item) for key, item in value.items()}
    return [composed(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=up_to(500), deadline=None)
@given(st.dictionaries(texts, values, max_size=6))
@example({"\ue000": 1, "\U0001f600": 2, "a": 3})
@example({"e\u0301": 1, "z": 2})
def test_every_object_is_written_as_the_reference_writes_it(value):
    written = canonical_json(value)

    assert written == rfc8785.dumps(composed(value))
    assert canonical_json(json.loads(written)) == written


def test_whatever_holds_the_values_they_are_written_alike():
    plain = {"a": [1, True, "red"], "b": {"c": 1}}

    held = ChainMap({"b": MappingProxyType({"c": Digit.ONE})}, {"a": (1, True, Colour.RED)})

    assert canonical_json({7: {None: 1}}) == b'{"7":{"None":1}}'
    assert canonical_json(held) == canonical_json(plain) == b'{"a":[1,true,"red"],"b":{"c":1}}'


@pytest.mark.parametrize("value", [1.0, float("nan"), b"x", {1, 2}, 2**53, -(2**53), "\ud800"])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(NotCanonicalError):
        canonical_json({"a": [value]})
