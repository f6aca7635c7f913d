"""Words of reports, in Russian and English."""

from dataclasses import dataclass

from cleanroom.incidents.types import (
    Duty,
    DutyState,
    EntryKind,
    IncidentKind,
    IncidentState,
    Severity,
)
from cleanroom.papers.text import Language


@dataclass(frozen=True)
class Words:
    """What stands in a report."""

    title: str
    page: str
    of: str
    made: str
    discovered: str
    kind: str
    severity: str
    state: str
    duties: str
    due: str
    became: str
    entries: str
    at: str
    entry: str
    text: str
    affected: str
    none: str
    datasets: str
    versions: str
    releases: str
    between: str
    entitlements: str
    organisations: str
    data_of: str
    proof: str
    note: str
    kinds: dict[IncidentKind, str]
    severities: dict[Severity, str]
    states: dict[IncidentState, str]
    duty: dict[Duty, str]
    duty_state: dict[DutyState, str]
    entry_kind: dict[EntryKind, str]


_EN = Words(
    title="Report on an incident",
    page="page {page} of {pages}",
    of="Register of",
    made="Made at",
    discovered="Discovered at",
    kind="What happened",
    severity="Severity",
    state="State",
    duties="Duties to notify",
    due="Due",
    became="What became of it",
    entries="Entries",
    at="At",
    entry="Entry",
    text="Text",
    affected="What is affected",
    none="It is not entered yet which data the incident is about.",
    datasets="Datasets",
    versions="Versions",
    releases="Answers that left the room",
    between="Asked for between",
    entitlements="Rights to use the data",
    organisations="Organisations concerned",
    data_of="Kind",
    proof="Proof",
    note="Hashes of texts, all answers by their receipts, and proofs for every event are in the report as JSON. "
    "Instants are in UTC. Terms: 152-FZ, article 21, part 3.1, and Regulation (EU) 2016/679, article 33.",
    kinds={
        IncidentKind.DISCLOSURE: "Data were disclosed",
        IncidentKind.ACCESS: "Somebody had access without a right",
        IncidentKind.ALTERATION: "Data were altered",
        IncidentKind.LOSS: "Data were lost",
        IncidentKind.UNAVAILABLE: "Data were not available",
        IncidentKind.WITHOUT_CONSENT: "People were counted without consent",
        IncidentKind.KEY_EXPOSED: "A key was exposed",
        IncidentKind.OTHER: "Something else",
    },
    severities={
        Severity.LOW: "Low",
        Severity.MEDIUM: "Medium",
        Severity.HIGH: "High",
        Severity.CRITICAL: "Critical",
    },
    states={
        IncidentState.OPEN: "Open",
        IncidentState.NOTIFIED: "Notified",
        IncidentState.CLOSED: "Closed",
    },
    duty={
        Duty.RU_NOTICE: "Roskomnadzor: notice, 24 hours",
        Duty.RU_RESULTS: "Roskomnadzor: results of the inquiry, 72 hours",
        Duty.EU_NOTICE: "Supervisory authority (GDPR): notice, 72 hours",
    },
    duty_state={DutyState.DUE: "Due", DutyState.DONE: "Done", DutyState.NOT_DUE: "Not due"},
    entry_kind={
        EntryKind.OPENED: "Opened",
        EntryKind.NOTE: "Note",
        EntryKind.SCOPE: "Scope",
        EntryKind.DUTY: "Duty",
        EntryKind.SHARED: "Shared",
        EntryKind.CLOSED: "Closed",
    },
)
_RU = Words(
    title="Отчёт об инциденте",
    page="страница {page} из {pages}",
    of="Журнал организации",
    made="Составлен",
    discovered="Обнаружен",
    kind="Что произошло",
    severity="Тяжесть",
    state="Состояние",
    duties="Обязанности уведомить",
    due="Срок",
    became="Исполнение",
    entries="Записи журнала",
    at="Время",
    entry="Запись",
    text="Текст",
    affected="Что затронуто",
    none="Пока не указано, каких данных касается инцидент.",
    datasets="Наборы данных",
    versions="Версии",
    releases="Ответы, покинувшие комнату",
    between="Запрошены в период",
    entitlements="Лицензии на данные",
    organisations="Затронутые организации",
    data_of="Вид",
    proof="Подтверждение",
    note="Хеши текстов, все ответы с протоколами выдачи и доказательства по каждому событию — в отчёте в формате JSON. "
    "Время указано по UTC. Сроки — по части 3.1 статьи 21 закона № 152-ФЗ и статье 33 Регламента (ЕС) 2016/679.",
    kinds={
        IncidentKind.DISCLOSURE: "Данные раскрыты",
        IncidentKind.ACCESS: "Неправомерный доступ",
        IncidentKind.ALTERATION: "Данные изменены",
        IncidentKind.LOSS: "Данные утрачены",
        IncidentKind.UNAVAILABLE: "Данные были недоступны",
        IncidentKind.WITHOUT_CONSENT: "Людей учли без согласия",
        IncidentKind.KEY_EXPOSED: "Раскрыт ключ",
        IncidentKind.OTHER: "Другое",
    },
    severities={
        Severity.LOW: "Низкая",
        Severity.MEDIUM: "Средняя",
        Severity.HIGH: "Высокая",
        Severity.CRITICAL: "Критическая",
    },
    states={
        IncidentState.OPEN: "Открыт",
        IncidentState.NOTIFIED: "Уведомления отправлены",
        IncidentState.CLOSED: "Закрыт",
    },
    duty={
        Duty.RU_NOTICE: "Роскомнадзор: уведомление, 24 часа",
        Duty.RU_RESULTS: "Роскомнадзор: результаты расследования, 72 часа",
        Duty.EU_NOTICE: "Надзорный орган (GDPR): уведомление, 72 часа",
    },
    duty_state={DutyState.DUE: "Ожидается", DutyState.DONE: "Исполнено", DutyState.NOT_DUE: "Не требуется"},
    entry_kind={
        EntryKind.OPENED: "Открытие",
        EntryKind.NOTE: "Запись",
        EntryKind.SCOPE: "Область",
        EntryKind.DUTY: "Уведомление",
        EntryKind.SHARED: "Передача",
        EntryKind.CLOSED: "Закрытие",
    },
)
WORDINGS = {Language.EN: _EN, Language.RU: _RU}
