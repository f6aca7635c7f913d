"""Words of an act of destruction, in Russian and English."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cleanroom.papers.text import Language
from cleanroom.rights.types import ActKind


@dataclass(frozen=True)
class ActWords:
    """The words of one language; `codes` holds those for the codes of the document."""

    title: str
    number: str
    destroyed_at: str
    made_at: str
    operator: str
    address: str
    processor: str
    subjects: str
    categories: str
    identifiers: str
    attributes: str
    consents: str
    labels: str
    system: str
    workspace: str
    dataset: str
    what: str
    how: str
    reason: str
    checked: str
    responsible: str
    signature: str
    extract: str
    extract_note: str
    columns: tuple[str, str, str, str]
    hash_note: str
    page: str
    kinds: Mapping[ActKind, str]
    codes: Mapping[str, str]


_RU = ActWords(
    title="Акт об уничтожении персональных данных",
    number="Номер",
    destroyed_at="Дата уничтожения",
    made_at="Дата составления",
    operator="Оператор",
    address="адрес: ____________________",
    processor="Обработчик по поручению оператора",
    subjects="Субъекты персональных данных",
    categories="Перечень категорий",
    identifiers="идентификаторы (в виде псевдонимов)",
    attributes="признаки",
    consents="сведения о согласиях",
    labels="метки клиентов",
    system="Информационная система",
    workspace="рабочее пространство",
    dataset="набор данных",
    what="Что уничтожено",
    how="Способ уничтожения",
    reason="Причина уничтожения",
    checked="Проверка",
    responsible="Лица, уничтожившие данные",
    signature="Должность: ____________________   Подпись: ____________________   Ф. И. О.: ____________________",
    extract="Выгрузка из журнала регистрации событий",
    extract_note=(
        "Записи журнала приведены так, как они в нём стоят. Место каждой записи в журнале и неизменность журнала"
        " проверяются открытым ключом, в том числе сторонними средствами: {key}"
    ),
    columns=("№ записи", "Дата и время (UTC)", "Событие", "О чём"),
    hash_note="SHA-256 документа, по которому составлен акт; журнал содержит его в записи о составлении акта: {sha256}",
    page="Страница {page} из {pages}",
    kinds=MappingProxyType(
        {
            ActKind.VERSION_DELETED: "все файлы версии набора данных",
            ActKind.DATASET_DELETED: "все файлы набора данных, включая сведения о согласиях",
            ActKind.ROWS_ERASED: "строки отдельных людей во всех файлах набора данных",
            ActKind.WORKSPACE_SHREDDED: "ключи рабочего пространства: ничего из зашифрованного ими прочитать нельзя",
        }
    ),
    codes=MappingProxyType(
        {
            "files_deleted": "удаление файлов",
            "files_rewritten": "перезапись файлов без строк этих людей и удаление прежних файлов",
            "keys_destroyed": "уничтожение ключей шифрования",
            "files_absent": "файлы в хранилище искались и не найдены",
            "replaced_files_absent": "прежние файлы в хранилище искались и не найдены",
            "keys_absent": "ключи в хранилище ключей искались и не найдены",
            "requests": "обращения субъектов персональных данных или решения оператора о них",
            "retention": "истёк срок хранения",
            "owner": "решение оператора",
            "everybody": "все, чьи данные содержались в уничтоженном",
            "consents_too_old": "те, чьи согласия получены раньше этой даты",
            "consent_withdrawn": "отзыв согласия",
            "objection": "возражение против обработки",
            "no_longer_needed": "цель обработки достигнута",
            "unlawful": "неправомерная обработка",
            "legal_obligation": "обязанность по закону",
            "request": "обращение {id}, {reason}, дело {reference}; обязательство {commitment}",
        }
    ),
)
_EN = ActWords(
    title="Act of destruction of personal data",
    number="Number",
    destroyed_at="Destroyed",
    made_at="Made",
    operator="Controller",
    address="address: ____________________",
    processor="Processor",
    subjects="Data subjects",
    categories="Categories of data",
    identifiers="identifiers (as pseudonyms)",
    attributes="attributes",
    consents="records of consent",
    labels="labels of clients",
    system="Information system",
    workspace="workspace",
    dataset="dataset",
    what="What was destroyed",
    how="How",
    reason="Why",
    checked="Seen",
    responsible="Who destroyed them",
    signature="Position: ____________________   Signature: ____________________   Name: ____________________",
    extract="Extract of the event log",
    extract_note=(
        "Records stand here as they stand in the log. The place of each, and that the log is unchanged, are verified"
        " with the public key, by other tools too: {key}"
    ),
    columns=("Record", "Date and time (UTC)", "Event", "About"),
    hash_note="SHA-256 of the document that this act was made from; the log states it: {sha256}",
    page="Page {page} of {pages}",
    kinds=MappingProxyType(
        {
            ActKind.VERSION_DELETED: "all files of a version of a dataset",
            ActKind.DATASET_DELETED: "all files of a dataset, records of consent included",
            ActKind.ROWS_ERASED: "the rows of single people in all files of a dataset",
            ActKind.WORKSPACE_SHREDDED: "the keys of a workspace: nothing that they sealed can be read",
        }
    ),
    codes=MappingProxyType(
        {
            "files_deleted": "files deleted",
            "files_rewritten": "files written anew without these people's rows, and the old files deleted",
            "keys_destroyed": "encryption keys destroyed",
            "files_absent": "the files were looked for in the store and are not there",
            "replaced_files_absent": "the old files were looked for in the store and are not there",
            "keys_absent": "the keys were looked for in the key store and are not there",
            "requests": "requests of data subjects, or the controller's decisions about them",
            "retention": "the period of retention is over",
            "owner": "the controller's decision",
            "everybody": "everybody whose data were in it",
            "consents_too_old": "those whose consents were collected before this instant",
            "consent_withdrawn": "consent withdrawn",
            "objection": "objection to the processing",
            "no_longer_needed": "no longer needed",
            "unlawful": "processed unlawfully",
            "legal_obligation": "a legal obligation",
            "request": "request {id}, {reason}, case {reference}; commitment {commitment}",
        }
    ),
)
WORDS: Mapping[Language, ActWords] = MappingProxyType({Language.RU: _RU, Language.EN: _EN})
