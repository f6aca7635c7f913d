"""What letters about notices say: that something has happened, and never about whom."""

from collections.abc import Mapping
from types import MappingProxyType

from cleanroom.mail.types import Letter
from cleanroom.mail.wording import spoken
from cleanroom.notices.types import NoticeType

_SUBJECTS: Mapping[NoticeType, tuple[str, str]] = MappingProxyType(
    {
        NoticeType.REQUEST_WAITS: ("A request waits for you", "Заявка ждёт вашего решения"),
        NoticeType.REQUEST_DECIDED: ("Your request was decided on", "По вашей заявке принято решение"),
        NoticeType.QUESTION_WAITS: ("A question waits for approval", "Запрос к данным ждёт одобрения"),
        NoticeType.VERSION_READY: ("A version is ready", "Версия готова"),
        NoticeType.VERSION_DECISION: ("A version needs a decision", "По версии нужно решение"),
        NoticeType.VERSION_REFUSED: ("A load was refused", "Загрузка не принята"),
        NoticeType.VERSION_ENDS: ("A version is about to be deleted", "Версия скоро будет удалена"),
        NoticeType.BUDGET_NEARLY_SPENT: (
            "Privacy budget is nearly given out",
            "Бюджет приватности почти выдан",
        ),
        NoticeType.STATEMENT_READY: ("A statement is ready", "Отчёт за месяц готов"),
        NoticeType.CONSENT_EPOCH: ("Consents have changed", "Согласия изменились"),
        NoticeType.LISTING_WAITS: ("A listing waits for review", "Карточка каталога ждёт проверки"),
        NoticeType.LISTING_REVIEWED: ("A listing was reviewed", "Карточка каталога проверена"),
        NoticeType.ALARM: ("An alarm for compliance", "Тревога для контроля"),
        NoticeType.DEED_WAITS: ("A deed waits for a second person", "Действие ждёт второго человека"),
        NoticeType.TRIAL_ENDED: ("The red team is done with a policy", "Проверка политики атаками завершена"),
        NoticeType.ROTATION_FAILED: ("A key could not be replaced", "Ключ не удалось сменить"),
        NoticeType.NEW_DEVICE: ("You signed in from a new device", "Вход с нового устройства"),
        NoticeType.WEBHOOK_DISABLED: ("A webhook was disabled", "Вебхук отключён"),
        NoticeType.MAIL_GIVEN_UP: ("Mail could not be delivered", "Письмо не удалось доставить"),
        NoticeType.INCIDENT_DEADLINE: (
            "An incident's term is nearly over, or over",
            "Срок по инциденту истекает или истёк",
        ),
        NoticeType.INCIDENT_SHARED: (
            "The operator shared an incident with you",
            "Оператор поделился с вами инцидентом",
        ),
    }
)
_TEXT = (
    "It happened in the clean room {room}. What it is about stands in its pages.",
    "Это произошло в чистой комнате {room}. Подробности — на её страницах.",
)
_NEW_DEVICE = (
    "Somebody signed in to the clean room {room} as you, with a browser that was not seen before.",
    "В чистую комнату {room} под вашим именем вошли из браузера, которого раньше не было.",
)
_NOT_YOU = (
    "If it was not you, change your password and end the other sessions under My account.",
    "Если это были не вы, смените пароль и завершите другие сеансы в разделе «Мой аккаунт».",
)
_WHY = (
    "You choose under Notifications what you are told by mail.",
    "О чём сообщать по почте, вы выбираете в разделе «Уведомления».",
)
_BUTTON = ("See notifications", "Посмотреть уведомления")


def letter(type_: NoticeType, language: str | None, *, link: str, room: str) -> Letter:
    """Write the letter about a notice.

    Args:
        type_: what has happened.
        language: of the person; None for the default.
        link: of the pages.
        room: the room's host.
    """
    chosen = spoken(language)
    at = ("en", "ru").index(chosen)
    fresh = type_ is NoticeType.NEW_DEVICE
    first = (_NEW_DEVICE if fresh else _TEXT)[at].format(room=room)
    second = (_NOT_YOU if fresh else _WHY)[at]
    return Letter(_SUBJECTS[type_][at], (first, second), link, _BUTTON[at], chosen)
