"""Key-encryption keys in AWS KMS, or what speaks its protocol: made there, used there, never seen outside."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from crypto.errors import KeyDestroyedError, UnwrapError
from crypto.key_file import bound_to, require_label, require_wrappable
from crypto.key_memory import KeyMemory
from crypto.key_services import DestroyedKeys, KeyServiceRefusedError, KeyServiceUnavailableError

PREFIX = "kms_"
"""What the ids of these keys begin with."""
_PURPOSE = b"cleanroom/kek-wrap-kms/v1\n"
_FORMAT = b"\x03"
_TAG = "cleanroom"
_CHECKED_SECONDS = 30.0
_KEPT_SECONDS, _MOST_KEPT = 60.0, 4096
_WRONG = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "OptInRequired",
        "UnrecognizedClientException",
    }
)
_ENDING = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


@dataclass(frozen=True)
class KmsPlace:
    """Where the service is, and which of its keys are the room's.

    Attributes:
        region: of AWS.
        alias: what the aliases of the room's keys begin with after `alias/`, such as `cleanroom/room.example.org`.
        endpoint: an address to call instead of the region's own; None for that.
        deletion_days: how long AWS keeps a key that was destroyed, 7 to 30; it cannot be used meanwhile, but whoever
            may cancel the deletion can bring it back.
        connect_seconds, read_seconds: how long a call may take to connect, and to be answered.
        attempts: how often a call is tried in all.
    """

    region: str
    alias: str
    endpoint: str | None = None
    deletion_days: int = 7
    connect_seconds: float = 3.0
    read_seconds: float = 10.0
    attempts: int = 4


class KmsKeys:
    """A `KeyProvider` over symmetric keys of AWS KMS; who may use them is decided there."""

    def __init__(self, place: KmsPlace, destroyed: DestroyedKeys) -> None:
        self._place = place
        self._destroyed = destroyed
        self._guard = Lock()
        self._made: tuple[int, Any] | None = None
        self._checked_at = float("-inf")
        self._memory = KeyMemory(seconds=_KEPT_SECONDS, most=_MOST_KEPT)

    @classmethod
    def open(cls, place: KmsPlace, *, destroyed: Path) -> Self:
        """Call the service once, so that what is wrong is known before it is needed.

        Args:
            place: where it is.
            destroyed: a file that remembers the ids of keys that are gone.

        Raises:
            KeyServiceUnavailableError: it does not answer.
            KeyServiceRefusedError: it does not let the room in.
        """
        keys = cls(place, DestroyedKeys(destroyed))
        keys.check()
        return keys

    def create_kek(self, label: str) -> str:
        """Create a key-encryption key and return its id; the label is for people and is not secret."""
        require_label(label)
        with self._answering():
            client = self._client()
            made = client.create_key(
                Description=f"Cleanroom {label}",
                KeyUsage="ENCRYPT_DECRYPT",
                KeySpec="SYMMETRIC_DEFAULT",
                Tags=[{"TagKey": _TAG, "TagValue": self._place.alias}],
            )
            key_id = str(made["KeyMetadata"]["KeyId"])
            # The time comes first so that ids, which are what aliases end in, sort by age.
            kek_id = f"{PREFIX}{time.time_ns() // 1_000_000:012x}-{key_id}"
            try:
                client.create_alias(AliasName=self._alias(kek_id), TargetKeyId=key_id)
            except Exception:
                # Nobody would ever find it again.
                with suppress(Exception):
                    self._schedule(key_id)
                raise
        return kek_id

    def wrap(self, kek_id: str, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key in the service, bound to the key's id and the context.

        Args:
            kek_id: which key-encryption key.
            key: what to encrypt, 1 to 4096 bytes.
            context: public bytes that must be given again to unwrap; the service, and its log, see their hash.

        Returns:
            About 150 bytes more than `key`.
        """
        require_wrappable(key)
        answer = self._use(
            kek_id,
            lambda client: client.encrypt(
                KeyId=_name(kek_id), Plaintext=key, EncryptionContext=_context(kek_id, context)
            ),
        )
        return _FORMAT + bytes(answer["CiphertextBlob"])

    def unwrap(self, kek_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError, UnknownKeyError or KeyDestroyedError."""
        place = kek_id, wrapped, context
        self._require_living(kek_id)
        kept = self._memory.get(place)
        if kept is not None:
            return kept
        answer = self._use(
            kek_id,
            lambda client: client.decrypt(
                KeyId=_name(kek_id),
                CiphertextBlob=_blob(wrapped),
                EncryptionContext=_context(kek_id, context),
            ),
        )
        plain = bytes(answer["Plaintext"])
        self._memory.put(place, plain)
        return plain

    def rewrap(self, old: str, new: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Move a wrapped key from one key-encryption key to another, same context, inside the service."""
        self._require_living(new)
        answer = self._use(
            old,
            lambda client: client.re_encrypt(
                CiphertextBlob=_blob(wrapped),
                SourceKeyId=_name(old),
                SourceEncryptionContext=_context(old, context),
                DestinationKeyId=_name(new),
                DestinationEncryptionContext=_context(new, context),
            ),
        )
        return _FORMAT + bytes(answer["CiphertextBlob"])

    def destroy(self, kek_id: str) -> None:
        """Have a key deleted: it cannot be used from now on, and the service forgets it after some days."""
        with self._answering(kek_id):
            try:
                state = self._client().describe_key(KeyId=_name(kek_id))["KeyMetadata"]["KeyState"]
            except ClientError as error:
                if _code(error) == "NotFoundException" and kek_id in self._destroyed:
                    return
                raise
            self._destroyed.add(kek_id)
            self._memory.forget(kek_id)
            if state not in _ENDING:
                self._schedule(_name(kek_id))
            try:
                self._client().delete_alias(AliasName=self._alias(kek_id))
            except ClientError as error:
                if _code(error) != "NotFoundException":
                    raise

    def kek_ids(self) -> tuple[str, ...]:
        """List the keys that can be used, oldest first."""
        start = self._alias(PREFIX)
        with self._answering():
            pages = self._client().get_paginator("list_aliases").paginate()
            names = [str(alias["AliasName"]) for page in pages for alias in page["Aliases"]]
        return tuple(sorted(PREFIX + name.removeprefix(start) for name in names if name.startswith(start)))

    def check(self) -> None:
        """Raise when the service cannot be used; asked at most twice a minute, as every call costs."""
        with self._guard:
            due = time.monotonic() - self._checked_at >= _CHECKED_SECONDS
        if due:
            with self._answering():
                self._client().list_aliases(Limit=1)
            with self._guard:
                self._checked_at = time.monotonic()

    def _use(self, kek_id: str, call: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        self._require_living(kek_id)
        with self._answering(kek_id):
            return call(self._client())

    def _require_living(self, kek_id: str) -> None:
        """Refuse what any process of the room has destroyed, before the service is asked, or memory."""
        if kek_id in self._destroyed:
            self._memory.forget(kek_id)
            raise self._destroyed.missing(kek_id)

    def _schedule(self, key_id: str) -> None:
        self._client().schedule_key_deletion(KeyId=key_id, PendingWindowInDays=self._place.deletion_days)

    def _alias(self, kek_id: str) -> str:
        return f"alias/{self._place.alias}/{kek_id}"

    def _client(self) -> Any:
        """Return the process's own client: connections are not shared with a process that forked this one."""
        with self._guard:
            if self._made is None or self._made[0] != os.getpid():
                place = self._place
                config = Config(
                    connect_timeout=place.connect_seconds,
                    read_timeout=place.read_seconds,
                    retries={"total_max_attempts": place.attempts, "mode": "standard"},
                    max_pool_connections=16,
                )
                session = boto3.session.Session(region_name=place.region)
                self._made = os.getpid(), session.client("kms", endpoint_url=place.endpoint, config=config)
            return self._made[1]

    @contextmanager
    def _answering(self, kek_id: str = "") -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._meaning(error, kek_id) from None
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise KeyServiceRefusedError(
                f"There are no credentials for the key service ({type(error).__name__}).",
                remedy="Give the process a role, or AWS's own variables.",
            ) from None
        except BotoCoreError as error:
            raise _unavailable(type(error).__name__) from None

    def _meaning(self, error: ClientError, kek_id: str) -> Exception:
        # Never the service's own text: it may quote what it was sent.
        code = _code(error)
        if code in _WRONG:
            return UnwrapError("The wrapped key is damaged, or belongs to another key or context.")
        if code in ("NotFoundException", "ValidationException") and kek_id:
            return self._destroyed.missing(kek_id)
        if code == "KMSInvalidStateException" and kek_id and self._ends(kek_id):
            return KeyDestroyedError("The key was destroyed; what it protected cannot be opened again.")
        if code in _REFUSED:
            return KeyServiceRefusedError(
                f"The key service refuses ({code}).",
                remedy="Allow the room's role what the guide to keys lists.",
            )
        return _unavailable(code)

    def _ends(self, kek_id: str) -> bool:
        """Tell whether somebody else has scheduled a key's deletion."""
        with suppress(ClientError, BotoCoreError):
            return self._client().describe_key(KeyId=_name(kek_id))["KeyMetadata"]["KeyState"] in _ENDING
        return False


def _unavailable(what: str) -> KeyServiceUnavailableError:
    return KeyServiceUnavailableError(
        f"The key service does not do its work ({what}).", remedy="Try again; the keys are where they were."
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _name(kek_id: str) -> str:
    return kek_id.partition("-")[2]


def _blob(wrapped: bytes) -> bytes:
    if wrapped[:1] != _FORMAT or len(wrapped) == 1:
        raise UnwrapError("The wrapped key is damaged, or belongs to another key or context.")
    return wrapped[1:]


def _context(kek_id: str, context: bytes) -> dict[str, str]:
    # Its hash binds as well, is text, and has one size.
    return {"cleanroom": hashlib.sha256(bound_to(_PURPOSE, kek_id, context)).hexdigest()}
