"""The headers of the protocol, read strictly."""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime

import pytest

from cleanroom.uploads import tus
from cleanroom.uploads.errors import ContentTypeError, TusHeaderError, TusVersionError
from cleanroom.uploads.types import Checksum


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def test_metadata_is_pairs_of_a_name_and_base64():
    assert tus.read_metadata(None) == {}
    assert tus.read_metadata("") == {}
    assert tus.read_metadata("manifest e30=,publish YXV0bw==, empty") == {
        "manifest": b"{}",
        "publish": b"auto",
        "empty": b"",
    }


@pytest.mark.parametrize("value", [",", "a YQ==,", " ", "a YQ", "a Y Q==", "a YQ==,a YQ==", "a \u00ff"])
def test_malformed_metadata_is_refused(value):
    with pytest.raises(TusHeaderError, match="malformed"):
        tus.read_metadata(value)


def test_the_wish_to_publish_is_taken_and_names_of_files_are_dropped():
    assert tus.read_wish({"manifest": b"{}", "filename": b"a.csv"}) == (b"{}", False)
    assert tus.read_wish({"manifest": b"{}", "publish": b"auto"}) == (b"{}", True)
    assert tus.read_wish({"manifest": b"{}", "publish": b"manual"}) == (b"{}", False)
    for metadata in ({}, {"manifest": b""}, {"manifest": b"{}", "publish": b"yes"}):
        with pytest.raises(TusHeaderError):
            tus.read_wish(metadata)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_checksum_is_an_algorithm_and_a_digest(algorithm):
    digest = hashlib.new(algorithm, b"x").digest()
    assert tus.read_checksum(f"{algorithm} {b64(digest)}") == Checksum(algorithm, digest)
    assert tus.read_checksum(None) is None


@pytest.mark.parametrize(
    "value", ["", "md5 " + b64(bytes(16)), "sha1 " + b64(bytes(32)), "sha256", "sha256 ?"]
)
def test_a_checksum_that_cannot_be_checked_is_refused(value):
    with pytest.raises(TusHeaderError, match="sha1, sha256"):
        tus.read_checksum(value)


@pytest.mark.parametrize("value", [None, "", "1.0", "1.0.1", "0.2.2"])
def test_another_version_is_refused(value):
    with pytest.raises(TusVersionError, match=r"1\.0\.0"):
        tus.require_version(value)
    tus.require_version("1.0.0")


def test_only_the_protocols_content_type_passes():
    tus.require_content_type("application/offset+octet-stream")
    for value in (None, "", "application/octet-stream"):
        with pytest.raises(ContentTypeError):
            tus.require_content_type(value)


@pytest.mark.parametrize("value", [None, "", "-1", "+1", "1e3", " 1", "9" * 17])
def test_a_number_is_digits(value):
    with pytest.raises(TusHeaderError, match="Upload-Offset"):
        tus.read_number("Upload-Offset", value)
    assert tus.read_number("Upload-Offset", "042") == 42


def test_a_length_told_later_is_refused():
    assert tus.read_length("5", deferred=None) == 5
    with pytest.raises(TusHeaderError, match="later"):
        tus.read_length(None, deferred="1")


def test_an_instant_is_written_as_http_does():
    assert tus.http_date(datetime(2026, 11, 6, 8, 49, 37, tzinfo=UTC)) == "Fri, 06 Nov 2026 08:49:37 GMT"
