"""What letters say, in the languages of the pages."""

from collections.abc import Mapping
from types import MappingProxyType

from cleanroom.mail.types import Letter

DEFAULT = "en"
LANGUAGES = ("en", "ru")
_INVITATION = {
    "en": (
        "You are invited to a clean room",
        "You are invited to {organisation} in the clean room {room}.",
        "The link counts once, for seven days. If you do not know why you get this letter, do nothing.",
        "Accept the invitation",
    ),
    "ru": (
        "Вас пригласили в чистую комнату",
        "Вас пригласили в организацию {organisation} в чистой комнате {room}.",
        "Ссылка действует один раз, семь дней. Если вы не знаете, почему получили это письмо, ничего не делайте.",
        "Принять приглашение",
    ),
}
_RESET = {
    "en": (
        "A new password for the clean room",
        "With this link you set a new password in the clean room {room}.",
        "It counts once, for a day. If you did not ask for it, do nothing: the old password stays good.",
        "Set a new password",
    ),
    "ru": (
        "Новый пароль для чистой комнаты",
        "По этой ссылке вы зададите новый пароль в чистой комнате {room}.",
        "Она действует один раз, сутки. Если вы её не запрашивали, ничего не делайте: прежний пароль остаётся в силе.",
        "Задать новый пароль",
    ),
}
_NO_PASSWORD = {
    "en": (
        "Signing in to the clean room",
        "Somebody asked for a new password in the clean room {room}. You have none there: you sign in with single "
        "sign-on.",
        "If it was not you, do nothing.",
        "Sign in",
    ),
    "ru": (
        "Вход в чистую комнату",
        "Кто-то запросил новый пароль в чистой комнате {room}. Пароля у вас там нет: вы входите через единый вход.",
        "Если это были не вы, ничего не делайте.",
        "Войти",
    ),
}
_SENT_BY = {
    "en": "This letter was sent by the clean room {room}. Answers are not read.",
    "ru": "Это письмо отправила чистая комната {room}. Ответы на него не читают.",
}
_TEXTS: Mapping[str, Mapping[str, tuple[str, str, str, str]]] = MappingProxyType(
    {"invitation": _INVITATION, "reset": _RESET, "no_password": _NO_PASSWORD}
)


def spoken(language: str | None) -> str:
    """Return the language that letters have for somebody."""
    return language if language in LANGUAGES else DEFAULT


def letter(what: str, language: str | None, *, link: str, **facts: str) -> Letter:
    """Write a letter.

    Args:
        what: invitation, reset or no_password.
        language: of the person; None for the default.
        link: where to go on.
        **facts: named in the text.
    """
    chosen = spoken(language)
    subject, first, second, button = _TEXTS[what][chosen]
    return Letter(subject, (first.format(**facts), second), link, button, chosen)


def sent_by(language: str, room: str) -> str:
    """Return a letter's last line."""
    return _SENT_BY[language].format(room=room)
