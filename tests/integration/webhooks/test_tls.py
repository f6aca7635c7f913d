"""The connection goes to the address that was checked; the certificate has to be the name's."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cleanroom.webhooks.types import DeliveryState, Failure
from tests.integration.webhooks.receiver import receiving
from tests.integration.webhooks.scene import Scene

NAME = "hooks.example.org"


def certified(folder: Path, *names: x509.GeneralName) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own making, and the file to trust it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    trusted, both = folder / "ca.pem", folder / "server.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    both.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + trusted.read_bytes()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, trusted


@pytest.mark.parametrize(
    ("host", "name", "failure"),
    [
        (NAME, x509.DNSName(NAME), None),
        (f"{NAME}.", x509.DNSName(NAME), None),
        (NAME, x509.DNSName("other.example.org"), Failure.UNREACHABLE),
        # What is connected to must not stand in for who is meant.
        (NAME, x509.IPAddress(ip_address("127.0.0.1")), Failure.UNREACHABLE),
        ("127.0.0.1", x509.IPAddress(ip_address("127.0.0.1")), None),
    ],
)
def test_the_certificate_is_the_names(
    sqlite_scene: Scene,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    name: x509.GeneralName,
    failure: Failure | None,
) -> None:
    scene = sqlite_scene
    context, trusted = certified(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    # Nothing of the environment leads messages elsewhere.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    seen = []
    context.sni_callback = lambda _socket, server_name, _context: seen.append(server_name)
    guard = scene.room.webhooks.sending.guard
    # The first address takes nothing; the second does.
    object.__setattr__(guard, "resolve", lambda _host, _port: ["127.0.0.9", "127.0.0.1"])
    with receiving(context) as receiver:
        endpoint = scene.register(url=f"https://{host}:{receiver.port}/in")
        scene.ping(endpoint)
        scene.work()
        (delivery,) = scene.deliveries(endpoint)
        assert delivery.failure is failure
        assert (delivery.state is DeliveryState.DELIVERED) == (failure is None)
        assert [message.headers["host"] for message in receiver.messages] == (
            [] if failure else [f"{host}:{receiver.port}"]
        )
    assert seen[:1] == [NAME if host != "127.0.0.1" else None]
