"""Public keys as people paste them."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import ECKey

from cleanroom.access.client_keys import generate_private_key, key_set_of_text, public_set, read_key_set
from cleanroom.access.errors import ClientKeyError


def public_pem(key: object) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
)
def test_pem_and_jwk_of_one_key_are_the_same_key(key: object) -> None:
    (read,) = read_key_set(key_set_of_text("some words before\n" + public_pem(key)))
    (again,) = read_key_set(key_set_of_text(json.dumps(read.jwk)))
    assert again == read
    both = public_pem(key) + public_pem(ec.generate_private_key(ec.SECP256R1()))
    assert len(read_key_set(key_set_of_text(both))) == 2


def test_a_key_set_is_taken_as_it_is() -> None:
    private = generate_private_key()
    (read,) = read_key_set(key_set_of_text(json.dumps(public_set(private))))
    assert read.thumbprint == ECKey.import_key(private).thumbprint()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "12",
        "{",
        "[" * 5_000,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        public_pem(dsa.generate_private_key(2048)),
        json.dumps(generate_private_key()),
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode(),
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        .decode(),
        public_pem(ec.generate_private_key(ec.SECP384R1())),
    ],
)
def test_what_is_no_public_key_that_can_be_used_is_refused(text: str) -> None:
    with pytest.raises(ClientKeyError):
        read_key_set(key_set_of_text(text))
