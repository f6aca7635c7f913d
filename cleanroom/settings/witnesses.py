"""The witnesses that vouch for the room's log, and how often its head is published."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cleanroom.settings.values import SettingsError, count, public_url
from crypto.checkpoint import CheckpointError
from crypto.cosignature import WitnessKey, parse_witness_key

FIELDS = ("witnesses", "witness_quorum", "checkpoint_seconds")
DEFAULT_CHECKPOINT_SECONDS, MAX_CHECKPOINT_SECONDS = 300, 86_400
MAX_WITNESSES = 16


@dataclass(frozen=True)
class WitnessSettings:
    """One witness.

    Attributes:
        key: whose cosignatures are believed.
        url: where it takes checkpoints, without a slash at its end.
    """

    key: WitnessKey
    url: str


@dataclass(frozen=True)
class PublishingSettings:
    """How the log is shown to the outside.

    Attributes:
        witnesses: who is asked to vouch for published heads.
        quorum: how many of them have to.
        every_seconds: the time from one published head to the next.
    """

    witnesses: tuple[WitnessSettings, ...] = ()
    quorum: int = 0
    every_seconds: int = DEFAULT_CHECKPOINT_SECONDS


UNWITNESSED = PublishingSettings()


def publishing_settings(values: Mapping[str, object]) -> PublishingSettings:
    """Read the witnesses; raises SettingsError when a value cannot be used.

    Args:
        values: by field; witnesses are pairs of verifier key and address, with commas between the pairs.
    """
    pairs = [pair.split() for pair in re.split(r"[,\n]", str(values.get("witnesses") or "")) if pair.strip()]
    witnesses = tuple(_witness(pair) for pair in pairs)
    if len({one.key.name for one in witnesses}) < len(witnesses) or len(witnesses) > MAX_WITNESSES:
        raise SettingsError(
            f"CLEANROOM_WITNESSES names a witness twice, or more than {MAX_WITNESSES}.",
            remedy="Name each once.",
        )
    default = len(witnesses)
    return PublishingSettings(
        witnesses=witnesses,
        quorum=count(
            "witness_quorum",
            values.get("witness_quorum", default),
            least=0,
            most=len(witnesses),
            example=default,
        ),
        every_seconds=count(
            "checkpoint_seconds",
            values.get("checkpoint_seconds", DEFAULT_CHECKPOINT_SECONDS),
            most=MAX_CHECKPOINT_SECONDS,
            example=DEFAULT_CHECKPOINT_SECONDS,
        ),
    )


def _witness(pair: list[str]) -> WitnessSettings:
    if len(pair) != 2:
        raise SettingsError(
            "CLEANROOM_WITNESSES is no list of a verifier key and an address each.",
            remedy="Write such as: w1+1a2b3c4d+BAbc... https://witness.example.org, with commas between witnesses.",
        )
    try:
        key = parse_witness_key(pair[0])
    except CheckpointError:
        raise SettingsError(
            "CLEANROOM_WITNESSES holds what is no witness's verifier key.",
            remedy="Copy it whole from `cleanroom witness key`.",
        ) from None
    try:
        return WitnessSettings(key, public_url(pair[1]))
    except SettingsError:
        raise SettingsError(
            f"CLEANROOM_WITNESSES has no https address for {key.name}.",
            remedy="Use such as https://witness.example.org; http only for 127.0.0.1 and localhost.",
        ) from None
