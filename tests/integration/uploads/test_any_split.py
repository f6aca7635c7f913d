"""However a payload is cut into requests, and whatever goes wrong between them, the same file arrives."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanroom.uploads import appending as appending_module
from cleanroom.uploads.errors import ChecksumError, OffsetError, UploadTooLargeError
from cleanroom.uploads.types import Checksum, UploadStatus
from tests.packages import announce, look, on_disk, send, signed

SIZES = st.integers(0, 400)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["sent", "checked", "false", "aborted", "unchecked", "crashed", "elsewhere", "too_long"]
        ),
        SIZES,
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def step_bytes():
    patch = pytest.MonkeyPatch()
    patch.setattr(appending_module, "ADVANCE_BYTES", 100)
    yield
    patch.undo()


@given(payload=st.binary(min_size=1, max_size=1500), steps=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_split_with_failures_between_gives_the_same_file(quiet_stage, step_bytes, payload, steps):
    stage = quiet_stage
    owner = stage.advertiser.organisation_id
    upload = announce(stage, signed(stage, payload))
    at = 0

    def begin(**options):
        return stage.room.uploads.append(upload.id, organisation_id=owner, offset=at, **options)

    for step, size in steps:
        if at == len(payload):
            break
        data = payload[at : at + size]
        digest = Checksum("sha256", hashlib.sha256(data).digest())
        if step == "sent":
            at = send(stage, upload.id, data, at).offset
            assert at == look(stage, upload.id).offset
        elif step == "checked":
            at = send(stage, upload.id, data, at, checksum=digest).offset
        elif step == "false":
            with pytest.raises(ChecksumError):
                send(stage, upload.id, data, at, checksum=Checksum("sha256", bytes(32)))
        elif step == "aborted":
            with begin() as appending:
                appending.write(data)
            at += len(data)
        elif step == "unchecked":
            with begin(checksum=digest) as appending:
                appending.write(data)
        elif step == "crashed":
            # As a killed process leaves it: bytes on disk that nobody has counted.
            if at:
                with (stage.room.settings.uploads_path / f"{upload.id}.part").open("ab") as file:
                    file.write(bytes(size))
        elif step == "elsewhere":
            with pytest.raises(OffsetError):
                send(stage, upload.id, data, at + size + 1)
        else:
            with pytest.raises(UploadTooLargeError):
                send(stage, upload.id, payload[at:] + b"x", at)
        assert look(stage, upload.id).offset == at
    if at < len(payload):
        send(stage, upload.id, payload[at:], at)
    assert look(stage, upload.id).status is UploadStatus.RECEIVED
    assert on_disk(stage, upload.id) == payload
    stage.room.uploads.terminate(upload.id, organisation_id=owner)


@pytest.fixture
def quiet_stage(make_room):
    """One room for all examples: each has an upload of its own."""
    return make_room()
