"""The words of statements, in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass

from cleanroom.marketplace.statements import Position, Side


@dataclass(frozen=True)
class Wording:
    """Everything that a statement says in one language, but for names and figures."""

    title: str
    sides: Mapping[Side, str]
    organisation: str
    role: str
    period: str
    zone: str
    number: str
    state: str
    complete: str
    preliminary: str
    nothing: str
    positions: Mapping[Position, str]
    no_day: str
    entitlement: str
    listing: str
    provider: str
    advertiser: str
    agency: str
    position: str
    day: str
    questions: str
    people: str
    budget: str
    amount: str
    currency: str
    vat_rate: str
    fee: str
    share: str
    totals: str
    net: str
    vat: str
    no_vat: str
    gross: str
    page: str
    note: str


RUSSIAN = Wording(
    title="Отчёт за месяц",
    sides={Side.BUYER: "покупатель", Side.PROVIDER: "поставщик", Side.OPERATOR: "оператор"},
    organisation="Организация",
    role="Сторона",
    period="Период",
    zone="Часовой пояс",
    number="Номер",
    state="Состояние",
    complete="окончательный",
    preliminary="предварительный: месяц не закончен или учтены не все ответы",
    nothing="В этом месяце начислений нет.",
    positions={
        Position.QUESTIONS: "Ответы на вопросы",
        Position.FLAT: "Плата за месяц",
        Position.MINIMUM: "Доплата до минимума",
        Position.NO_CHARGE: "Без оплаты: ответ скрыт или отклонён",
    },
    no_day="за месяц",
    entitlement="Право доступа",
    listing="Предложение",
    provider="Поставщик",
    advertiser="Рекламодатель",
    agency="Агентство",
    position="Позиция",
    day="Дата",
    questions="Вопросов",
    people="Людей",
    budget="Бюджет, мкρ",
    amount="Сумма без НДС",
    currency="Валюта",
    vat_rate="НДС, %",
    fee="Доля оператора",
    share="Доля поставщика",
    totals="Итого",
    net="Итого без НДС",
    vat="НДС",
    no_vat="Без НДС",
    gross="Всего с НДС",
    page="Страница {page} из {pages}",
    note="НДС считается один раз по каждой ставке, от суммы за месяц, и округляется до минимальной единицы валюты.",
)
ENGLISH = Wording(
    title="Monthly statement",
    sides={Side.BUYER: "buyer", Side.PROVIDER: "provider", Side.OPERATOR: "operator"},
    organisation="Organisation",
    role="Side",
    period="Period",
    zone="Time zone",
    number="Number",
    state="State",
    complete="final",
    preliminary="preliminary: the month is not over, or not every answer is accounted for",
    nothing="There are no charges in this month.",
    positions={
        Position.QUESTIONS: "Answered questions",
        Position.FLAT: "Monthly price",
        Position.MINIMUM: "Up to the minimum",
        Position.NO_CHARGE: "No charge: withheld or refused",
    },
    no_day="the month",
    entitlement="Entitlement",
    listing="Listing",
    provider="Provider",
    advertiser="Advertiser",
    agency="Agency",
    position="Position",
    day="Date",
    questions="Questions",
    people="People",
    budget="Budget, µρ",
    amount="Amount without VAT",
    currency="Currency",
    vat_rate="VAT, %",
    fee="Operator's fee",
    share="Provider's share",
    totals="Totals",
    net="Total without VAT",
    vat="VAT",
    no_vat="No VAT",
    gross="Total with VAT",
    page="Page {page} of {pages}",
    note="VAT is worked out once per rate, on the sum of the month, and rounded to the currency's minor unit.",
)
