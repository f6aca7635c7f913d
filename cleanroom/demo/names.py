"""What the made-up people are called, where they live and what they buy; all invented but the cities."""

FEMALE_FIRST = (
    ("Анна", "anna"), ("Мария", "maria"), ("Елена", "elena"), ("Ольга", "olga"), ("Наталья", "natalya"),
    ("Екатерина", "ekaterina"), ("Татьяна", "tatyana"), ("Ирина", "irina"), ("Светлана", "svetlana"),
    ("Юлия", "yulia"), ("Дарья", "daria"), ("Полина", "polina"), ("Алиса", "alisa"), ("Вера", "vera"),
    ("Emily", "emily"), ("Sophie", "sophie"), ("Grace", "grace"), ("Helen", "helen"),
)  # fmt: skip
MALE_FIRST = (
    ("Александр", "alexander"), ("Дмитрий", "dmitry"), ("Сергей", "sergey"), ("Андрей", "andrey"),
    ("Алексей", "alexey"), ("Максим", "maxim"), ("Иван", "ivan"), ("Михаил", "mikhail"), ("Никита", "nikita"),
    ("Павел", "pavel"), ("Егор", "egor"), ("Роман", "roman"), ("Тимур", "timur"), ("Лев", "lev"),
    ("James", "james"), ("Oliver", "oliver"), ("Henry", "henry"), ("Arthur", "arthur"),
)  # fmt: skip
# Russian surnames in the masculine form; the feminine one adds "а" and "a".
RUSSIAN_LAST = (
    ("Смирнов", "smirnov"), ("Иванов", "ivanov"), ("Кузнецов", "kuznetsov"), ("Соколов", "sokolov"),
    ("Попов", "popov"), ("Лебедев", "lebedev"), ("Козлов", "kozlov"), ("Новиков", "novikov"),
    ("Морозов", "morozov"), ("Петров", "petrov"), ("Волков", "volkov"), ("Зайцев", "zaytsev"),
    ("Павлов", "pavlov"), ("Семёнов", "semyonov"), ("Голубев", "golubev"), ("Виноградов", "vinogradov"),
    ("Богданов", "bogdanov"), ("Воробьёв", "vorobyov"), ("Фёдоров", "fyodorov"), ("Беляев", "belyaev"),
)  # fmt: skip
ENGLISH_LAST = (
    ("Smith", "smith"), ("Taylor", "taylor"), ("Brown", "brown"), ("Wilson", "wilson"), ("Evans", "evans"),
    ("Walker", "walker"), ("Wright", "wright"), ("Hughes", "hughes"), ("Green", "green"), ("Hall", "hall"),
    ("Wood", "wood"), ("Harris", "harris"), ("Clark", "clark"), ("Cooper", "cooper"), ("King", "king"),
    ("Baker", "baker"), ("Turner", "turner"), ("Parker", "parker"), ("Morris", "morris"), ("Bell", "bell"),
)  # fmt: skip

# Thousands of inhabitants, rounded; the last eight are not declared in the schema and become "other".
CITIES = (
    ("Москва", 13100), ("Санкт-Петербург", 5600), ("Новосибирск", 1630), ("Екатеринбург", 1540),
    ("Казань", 1310),
    ("Нижний Новгород", 1220), ("Челябинск", 1180), ("Красноярск", 1190), ("Самара", 1160), ("Уфа", 1150),
    ("Ростов-на-Дону", 1140), ("Омск", 1110), ("Краснодар", 1120), ("Воронеж", 1050), ("Пермь", 1030),
    ("Волгоград", 1020), ("Саратов", 890), ("Тюмень", 850), ("Тольятти", 680), ("Ижевск", 620),
    ("Барнаул", 620), ("Иркутск", 610), ("Хабаровск", 620), ("Ярославль", 570), ("Владивосток", 600),
    ("Махачкала", 620), ("Томск", 550), ("Оренбург", 540),
)  # fmt: skip

EMAIL_DOMAINS = (
    ("gmail.com", 0.36),
    ("mail.ru", 0.28),
    ("yandex.ru", 0.22),
    ("rambler.ru", 0.06),
    ("outlook.com", 0.08),
)

TARIFFS = ("Basic", "Plus", "Family", "Premium")
CATEGORIES = (
    "groceries", "electronics", "clothing", "sports", "books", "home", "travel", "kids", "pets", "auto",
)  # fmt: skip
MOST_CATEGORIES = 4

CONSENT_SHARES = (("yes", 0.68), ("confirmed", 0.17), ("sent", 0.06), ("stop", 0.04), ("no", 0.05))
LABEL_SHARES = (("vip", 0.12), ("active", 0.58), ("lapsed", 0.30))
