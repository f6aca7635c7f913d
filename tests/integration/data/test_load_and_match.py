"""From files of two parties to exact counts, through the real package, sealed files and keys."""

PEOPLE = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {columns: [phone, phone2], default_region: RU}
attributes:
  age: {type: integer, kind: descriptive, bands: [18, 25, 35]}
  city: {type: category, kind: descriptive, values: [Moscow, Kazan]}
  spend: {type: decimal, kind: behavioural, clamp: [0, 1000], aggregate: sum}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"], pending: [sent], withdrawn: [stop]}
"""
BASE = """\
match_keys:
  email: {column: mail}
  phone: {column: tel, default_region: RU}
label: {column: status, values: [vip, active]}
"""
FILE = """\
id,email,phone,phone2,age,city,spend,ads
1,anna@example.org,+79161112233,,20,Moscow,10.50,yes
2,boris@example.org,8 916 111-22-34,+79161112235,30,Kazan,,yes
3,clara@example.org,,,40,Paris,7,no
4,,+79161112236,,,Moscow,1,yes
1,,+79161112299,,21,Moscow,2.25,yes
5,broken,,,1,Moscow,1,yes
"""
CLIENTS = """\
mail,tel,status
ANNA@example.org,,active
,+79161112299,vip
,89161112235,active
clara@example.org,,vip
nobody@example.org,,vip
"""


def test_a_loaded_file_is_counted_by_person_consent_key_and_label(any_room):
    room = any_room
    version = room.load(room.register(PEOPLE), FILE)
    base = room.load(room.register(BASE, party="shop", kind="base"), CLIENTS, party="shop")
    counts = room.count(version, base, per_key=True, labels=True, breakdowns=(("city", "age"),))
    assert counts.overlap == 2
    assert counts.keys == {"email/room": 1, "phone/room": 1}
    assert counts.labels == (1, 1)
    cells = counts.breakdowns[0].reshape(4, 5)
    assert cells.sum() == 2
    assert cells[0, 1] == 1
    assert cells[1, 2] == 1


def test_the_quality_report_counts_rows_persons_and_reasons(room):
    version = room.load(room.register(PEOPLE), FILE)
    report = room.report(version)
    assert (report.rows, report.rows_accepted, report.persons) == (6, 5, 4)
    assert report.rejected == {"no_valid_key": 1}
    assert report.rejected_rows == ((6, "no_valid_key"),)
    assert report.fill == {"age": 3, "city": 4, "spend": 3}
    assert report.distinct == {"email/room": 3, "phone/room": 5}
    assert report.consent["advertising"]["granted"] == 3
