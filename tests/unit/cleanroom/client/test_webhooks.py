"""Signatures of webhooks are those of Standard Webhooks, and whatever is not believed raises."""

import json

import pytest

from cleanroom.client.webhooks import (
    WebhookSignatureError,
    read_secret,
    sign,
    verify,
    write_secret,
)

# The vector of the specification's own libraries (standard-webhooks/standard-webhooks, libraries/*/test).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = write_secret(b"o" * 32)
OURS = json.dumps(
    {
        "type": "analysis.answered",
        "timestamp": "2026-11-30T12:00:00Z",
        "data": {"analysis_id": "an_1"},
        "v": 1,
    }
).encode()


def headers(*secrets: str, body: bytes = OURS, at: int = AT, **changed: str) -> dict[str, str]:
    keys = [read_secret(secret) for secret in secrets]
    made = {
        "Webhook-Id": ID,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": sign(keys, message_id=ID, timestamp=at, body=body),
    }
    return {**made, **{name.replace("_", "-"): value for name, value in changed.items()}}


def test_the_published_vector() -> None:
    assert sign([read_secret(SECRET)], message_id=ID, timestamp=AT, body=BODY) == SIGNATURE
    assert write_secret(read_secret(SECRET)) == SECRET
    given = {"webhook-id": ID, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}
    # It verifies, and only then is it found not to be of this room's form.
    with pytest.raises(WebhookSignatureError, match="is signed, but"):
        verify(SECRET, given, BODY, now=AT)


def test_a_message_is_read_once_it_verifies() -> None:
    event = verify(SECRET, headers(SECRET), OURS, now=AT + 299)
    assert (event.id, event.type, event.data) == (ID, "analysis.answered", {"analysis_id": "an_1"})
    assert event.timestamp == "2026-11-30T12:00:00Z"


@pytest.mark.parametrize("secret", [SECRET, OTHER, (OTHER, SECRET)])
def test_while_secrets_overlap_either_verifies(secret) -> None:
    assert verify(secret, headers(OTHER, SECRET), OURS, now=AT).id == ID


@pytest.mark.parametrize(
    ("changed", "body", "now"),
    [
        (headers(OTHER), OURS, AT),
        (headers(SECRET), OURS + b" ", AT),
        (headers(SECRET, Webhook_Id="msg_other"), OURS, AT),
        (headers(SECRET, Webhook_Timestamp=str(AT + 1)), OURS, AT),
        (headers(SECRET), OURS, AT + 301),
        (headers(SECRET), OURS, AT - 301),
        (headers(SECRET, Webhook_Signature=""), OURS, AT),
        (headers(SECRET, Webhook_Signature=SIGNATURE.removeprefix("v1,")), OURS, AT),
        (headers(SECRET, Webhook_Signature="v2," + SIGNATURE[3:]), OURS, AT),
        (headers(SECRET, Webhook_Signature="v1,ключ"), OURS, AT),
        (headers(SECRET, Webhook_Timestamp="١٦١٤٢٦٥٣٣٠"), OURS, AT),
        (headers(SECRET, Webhook_Timestamp="1e9"), OURS, AT),
        ({}, OURS, AT),
        (headers(SECRET, body=b"[1]"), b"[1]", AT),
        (headers(SECRET, body=b'{"type":"x"}'), b'{"type":"x"}', AT),
    ],
)
def test_anything_else_is_refused(changed, body, now) -> None:
    with pytest.raises(WebhookSignatureError) as error:
        verify(SECRET, changed, body, now=now)
    assert error.value.remedy


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_не", "whsec_" + "QUFB" * 22])
def test_what_is_no_secret_is_said_to_be_none(secret: str) -> None:
    with pytest.raises(WebhookSignatureError, match="secret"):
        verify(secret, headers(SECRET), OURS, now=AT)
