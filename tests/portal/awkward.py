"""Files that hold every value which two programs could read differently."""

import base64
import csv
import hashlib
import io
import random

SCHEMA = """
person_id: id
match_keys:
  email: {columns: [e1, e2], also_profiles: [uid2, google, meta, tiktok, yandex], legacy_md5: true}
  phone: {column: ph, default_region: RU, also_profiles: [uid2, meta, snap]}
  maid: {column: m}
  cookie: {column: c}
  h: {column: h, identifier: email, form: hashed, hash_profile: google}
  u: {column: u, identifier: email, form: hashed, hash_profile: uid2}
  y: {column: y, identifier: phone, form: hashed, hash_profile: yandex, legacy_md5: true}
attributes:
  i: {type: integer, null_values: ["-", "n/a"]}
  d: {type: decimal, scale: 3, decimal_mark: ","}
  d2: {type: decimal}
  b: {type: boolean}
  t: {type: date}
  t2: {type: date, date_format: "%d.%m.%Y"}
  t3: {type: date, date_format: "%m/%d/%Y"}
  t4: {type: date, date_format: "%Y%m%d"}
  s: {type: set, values: [a, b, "c d"], max_values: 2, separator: "|"}
  cat: {type: category, values: [M, "Ё", "é"]}
  o: {type: category, open: true, max_bytes: 8}
  o2: {type: category, open: true}
lawful_basis: consent
consent:
  advertising:
    {column: ads, granted: ["Да", "yes"], withdrawn: [stop], pending: [p], collected_at: at, expires_at: until}
"""
_DOMAINS = [
    "пример.рф",
    "münchen.de",
    "straße.de",
    "a_b.com",
    "-a.com",
    "a-.com",
    "ab--c.com",
    "xn--e1afmkfd.xn--p1ai",
    "localhost",
    "a.b.",
    ".a.b",
    "☃.net",
    "exämple.com",
    "a..b",
    "ſ.org",
    "İstanbul.com",
    "xn--zz.com",
    "ab。com",
    "1.2.3.4",
    "0x7f.1",
    "999",
    "1.2",
    "EXAMPLE.COM",
    "a.b%20c",
    "a.b/c",
    "a:80.b",
    "[::1]",
    "日本.jp",
    "עברית.il",
    "عربي.eg",
    "a\xadb.com",
    "fiﬁ.com",
    "y.z?",
    "y.z#q",
    "y.z\\w",
]
_EMAILS = [
    *(f"x@{domain}" for domain in _DOMAINS),
    *("Jane.Doe+x@gmail.com", "JANE@GoogleMail.com", " a@b.org", "a b@c.org", "test@test.ru", "a@b@c.d"),
    *("@x.y", "x@", "ｆｕｌｌ＠ｗｉｄｔｈ.com", f"x@{'a' * 64}.com", f"x@{'a' * 63}.com", '"q"@x.y'),
    *("x\u00a0@y.z", "a@b.c", "ſ@x.org", "İ@x.org", "+@gmail.com", "...@gmail.com", "a\u200b@b.org"),
    *("Σ@x.gr", "ΟΔΟΣ@x.gr"),
]
_PHONES = """89123456789|+7 (912) 345-67-89|9123456789|8 (912) 345-67-89 Иван|тел. 89123456789|+44 20 7946 0958
0044 20 7946 0958|+79999999999|+12|1-800-FLOWERS|+1 (415) 555-2671 ext. 5|+77011234567|8 800 555 35 35|+1234567890
１２３４５６７８９０|+７９１２３４５６７８９|+7912345678|tel:+79123456789|89123456789;ext=5|+380501234567
+79123456789, доб. 5|8-912-345-67-89;|x|+7 912 345 67 89 wife""".replace("\n", "|").split("|")
_MAID = "38400000-8cf0-11bd-b23e-10b96e40000d"
_NUMBERS = [
    "1,5",
    "1,5000",
    "1,2345",
    "-0,001",
    "+3",
    "1.5",
    ",5",
    "5,",
    "123456789012,123",
    "1234567890123",
    "0000000000001,1",
    "1,,5",
]
_DAYS = [
    "2026-01-05",
    "2026-1-5",
    "2026-02-30",
    "2026-01-05T1",
    "26-01-05",
    "2026-01-05x",
    "2026-00-05",
    "1900-02-29",
    "2000-02-29",
    "2026-13-01",
    "0099-01-01",
]
_SHA, _MD5 = hashlib.sha256(b"x"), hashlib.md5(b"x", usedforsecurity=False)
_BASE64 = [base64.b64encode(hashlib.sha256(bytes([n])).digest()).decode() for n in range(3)]
COLUMNS = {
    "id": ["1", "2", "x y", "Ё", "Е\u0308", " ", ""],
    "e1": [*_EMAILS, *[""] * 10],
    "e2": [*_EMAILS, *[""] * 30],
    "ph": [*_PHONES, *[""] * 5],
    "m": [
        *(_MAID, _MAID.upper(), "00000000-0000-0000-0000-000000000000", _MAID.replace("-", "")),
        *(f"{{{_MAID}}}", f"urn:uuid:{_MAID}", "x", "", "", "", ""),
    ],
    "c": ["c1", "  c2 ", "x" * 256, "x" * 257, "", ""],
    "h": [_SHA.hexdigest(), _SHA.hexdigest().upper(), "zz", _MD5.hexdigest(), "a" * 63, ""],
    "u": [*_BASE64, "x" * 44, _SHA.hexdigest(), f"{_BASE64[0][:-2]}B=", ""],
    "y": [_MD5.hexdigest(), "ZZ", _MD5.hexdigest().upper(), ""],
    "i": [
        "5",
        "+5",
        "-5",
        "007",
        "1e5",
        "-",
        "n/a",
        "99999999999999",
        "999999999999999",
        "1234567890123456",
        "5.0",
        "5.",
        "0",
        "-0",
        ".5",
        "5.50",
        "0x1",
        "--1",
        "٣",
        "",
        "1 000",
    ],
    "d": [*_NUMBERS, ""],
    "d2": [*(number.replace(",", ".") for number in _NUMBERS), ""],
    "b": ["yes", "NO", "Да", "нет", "1", "0", "t", "F", "ИСТИНА", "maybe", "y", "True", ""],
    "t": [*_DAYS, "2026-01-05 10:00", ""],
    "t2": ["05.01.2026", "5.1.2026", "31.02.2026", "5.1.26", "05-01-2026", "05.01.2026 1", ""],
    "t3": ["01/05/2026", "1/5/2026", "13/05/2026", ""],
    "t4": ["20260105", "202615", "2026015", "20261", "20260105x", ""],
    "s": ["a", "a|b", "a|b|c d", "a|a", "zz", "a|zz", "|", "a| b ", "zz|yy", "c d", ""],
    "cat": ["M", "m", "Ё", "Е\u0308", "é", "e\u0301", "x", ""],
    "o": ["abc", "abcdefghi", "ЁЖЗИ", "ЁЖЗИК", "unknown", "a\u202eb", "e\u0301", "x y", "Other", "a\tb", ""],
    "o2": ["x" * 64, "x" * 65, "other", ""],
    "ads": ["да", "YES", "yes", "stop", "STOP", "P", "no", "ДА", ""],
    "at": [
        *("2026-01-05", "2026-01-05T10:00", "2026-01-05T10:00:01.1234567+03:00", "2026-01-05 10:00:01,5Z"),
        *("2026-01-05T10:00-0530", "2026-01-05T25:00", "x", "2026-02-30", "1950-01-05T10:00", ""),
    ],
    "until": [*_DAYS, ""],
}
_KEYS = ("e1", "e2", "ph", "m", "c", "h", "u", "y")
_RECORDS = """a@b.org,x|a@b.org,"x"|a@b.org,"x ""y"" z"|a@b.org,x"y|"a@b.org",x|"a@b.org"x,y|a@b.org|a@b.org,x,y||\r
a@b.org,x\r|a@b.org,"x"\r| "a@b.org",x|a@b.org, x |a@b.org,"a,b\"""".replace("\n", "|").split("|")


def awkward_file(rows: int = 1_500) -> bytes:
    """Every value alone, every identifier as the only one, and many put together at random, always the same."""
    rng = random.Random(7)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    usual = {name: values[0] for name, values in COLUMNS.items()}
    writer.writerow(("not read", *COLUMNS))
    for number in range(rows):
        chosen = {name: rng.choice(COLUMNS[name]) for name in rng.sample(list(COLUMNS), 2)}
        writer.writerow(("a,b", *(usual | {"id": f"p{number}"} | chosen).values()))
    for name, values in COLUMNS.items():
        writer.writerows(("", *(usual | {name: value}).values()) for value in values)
    nobody = usual | dict.fromkeys(_KEYS, "")
    for name in _KEYS:
        writer.writerows(("", *(nobody | {name: value}).values()) for value in COLUMNS[name])
    return text.getvalue().encode()


def ragged_file(rng: random.Random) -> bytes:
    """Good and malformed records in some order; a quote may stay open at the end."""
    records = [*_RECORDS, 'a@b.org,"x\ny"']
    lines = "\n".join(rng.choice(records) for _ in range(rng.randrange(1, 60)))
    return f"email,o\n{lines}{rng.choice(('', chr(10)))}".encode()
