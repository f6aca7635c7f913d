"""Identity providers that people may sign in with: tables `[sso.NAME]` of the room's TOML file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cleanroom.settings.secret_files import secret
from cleanroom.settings.values import SettingsError, is_loopback

MAX_PROVIDERS = 8
_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_KEYS = frozenset(
    {
        "issuer",
        "client_id",
        "client_secret_file",
        "title",
        "domains",
        "trust_second_factor",
        "second_factor_acr",
        "viewers",
    }
)


@dataclass(frozen=True)
class ProviderSettings:
    """One identity provider that speaks OpenID Connect.

    Attributes:
        name: in addresses and in the log.
        title: on the button.
        issuer: its address, exactly as its own discovery document names it.
        client_id: the room's name there.
        client_secret: the room's secret there; None for a client that has none.
        domains: of e-mail addresses that are let in; none lets all in that are connected.
        trust_second_factor: whether the room asks for no second factor of its own, whatever the provider says.
        second_factor_acr: values of `acr` that stand for a second factor there.
        viewers: domains whose people are let in as viewers of an organisation, by its id, without an invitation.
    """

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    domains: frozenset[str] = frozenset()
    trust_second_factor: bool = False
    second_factor_acr: frozenset[str] = frozenset()
    viewers: Mapping[str, str] = field(default_factory=dict)


def provider_settings(
    table: object, environ: Mapping[str, str], *, home: Path
) -> tuple[ProviderSettings, ...]:
    """Read the identity providers, in their order in the file.

    Args:
        table: what stands under `sso`; None for nothing.
        environ: may hold secrets, as CLEANROOM_SSO_NAME_CLIENT_SECRET with underscores for dashes.
        home: the room's.

    Raises:
        SettingsError: a value cannot be used; the message names it.
    """
    if table is None:
        return ()
    if not isinstance(table, dict) or len(table) > MAX_PROVIDERS:
        raise SettingsError(
            f"The setting sso is not 1 to {MAX_PROVIDERS} tables.", remedy="Write each as [sso.NAME]."
        )
    return tuple(_provider(str(name), given, environ, home) for name, given in table.items())


def _provider(name: str, given: object, environ: Mapping[str, str], home: Path) -> ProviderSettings:
    if not _NAME.fullmatch(name) or not isinstance(given, dict):
        raise _wrong(name, "is not a table with a usable name", "Use small letters, digits and dashes.")
    unknown = sorted(set(given) - _KEYS)
    if unknown:
        raise _wrong(name, f"has the unknown setting {unknown[0]}", f"Known: {', '.join(sorted(_KEYS))}.")
    issuer, client_id = str(given.get("issuer", "")), str(given.get("client_id", ""))
    if not _is_issuer(issuer):
        raise _wrong(name, "has no issuer of https", "Write it as the provider's discovery document does.")
    if not 0 < len(client_id) <= 255 or not client_id.isprintable():
        raise _wrong(name, "has no client_id", "Register the room with the provider, which gives it one.")
    title = str(given.get("title", name))
    if not 0 < len(title) <= 60 or not title.isprintable():
        raise _wrong(name, "has a title of no or more than 60 characters", "It stands on a button.")
    trusted = given.get("trust_second_factor", False)
    if not isinstance(trusted, bool):
        raise _wrong(name, "has a trust_second_factor that is no true or false", "Write true or false.")
    viewers = given.get("viewers", {})
    if not isinstance(viewers, dict) or not all(isinstance(one, str) for one in viewers.values()):
        raise _wrong(name, "has viewers that are no table", 'Write viewers = {"example.org" = "org_..."}.')
    variable = f"CLEANROOM_SSO_{name.upper().replace('-', '_')}_CLIENT_SECRET"
    return ProviderSettings(
        name=name,
        title=title,
        issuer=issuer,
        client_id=client_id,
        client_secret=secret(environ, variable, given.get("client_secret_file"), home=home),
        domains=_domains(name, _texts(name, "domains", given)),
        trust_second_factor=trusted,
        second_factor_acr=_texts(name, "second_factor_acr", given),
        viewers=dict(zip(_domains_in_order(name, viewers), viewers.values(), strict=True)),
    )


def _texts(name: str, key: str, given: Mapping[str, object]) -> frozenset[str]:
    found = given.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
        raise _wrong(name, f"has a {key} that is no list of texts", f'Write {key} = ["..."].')
    return frozenset(found)


def _domains(name: str, given: frozenset[str]) -> frozenset[str]:
    return frozenset(_domains_in_order(name, dict.fromkeys(given)))


def _domains_in_order(name: str, given: Mapping[str, object]) -> list[str]:
    domains = [text.lower() for text in given]
    if not all(map(_DOMAIN.fullmatch, domains)):
        raise _wrong(name, "names something that is no domain", "Write such as example.org.")
    return domains


def _is_issuer(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        extra = bool(parts.query or parts.fragment or parts.username or parts.port == 0)
    except ValueError:
        return False
    plain = parts.scheme == "http" and (host == "localhost" or is_loopback(host))
    return (
        bool(host) and not extra and text.isascii() and " " not in text and (parts.scheme == "https" or plain)
    )


def _wrong(name: str, what: str, remedy: str) -> SettingsError:
    return SettingsError(f"The identity provider sso.{name[:40]} {what}.", remedy=remedy)
