"""What the routes do for those who may."""

import base64

from sqlalchemy import update

from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.datasets.types import VersionStatus
from crypto.keys import generate_signing_key, public_key
from tests.api.world import World
from tests.rooms import BASE_HEADER, clients, phone

SCHEMA = {
    "match_keys": {"email": {"column": "email"}, "phone": {"column": "phone", "default_region": "RU"}},
    "label": {"column": "status", "values": ["vip", "active", "lapsed"]},
    "lawful_basis": "consent",
}
BASE = {"name": "loyalty", "schema": SCHEMA}
NOBODY = "org_" + "0" * 32


def new_key() -> str:
    return base64.b64encode(public_key(generate_signing_key())).decode()


def test_me_tells_who_calls(world: World) -> None:
    mine = world.call("agency.analyst", "GET", "/v1/me").json()
    assert mine["organisation"]["kind"] == "agency"
    assert [one["id"] for one in mine["advertisers"]] == [world.party("advertiser").organisation_id]
    assert "analyses:run" in mine["scopes"]
    [workspace] = world.call("advertiser.viewer", "GET", "/v1/me").json()["workspaces"]
    assert workspace["recipient"] == world.party("advertiser").recipient


def test_a_base_goes_from_registration_to_deletion(world: World) -> None:
    made = world.call("advertiser.owner", "POST", "/v1/bases", BASE)
    assert made.status_code == 201, made.text
    base = made.json()
    assert base["labels"] == ["vip", "active", "lapsed"]
    assert base["lawful_basis"] == "consent"
    assert base["recipient"] == world.party("advertiser").recipient
    path = f"/v1/bases/{base['id']}"
    assert world.call("agency.viewer", "GET", path).json() == base
    version_id = world.stage.load(base["id"], BASE_HEADER, clients(known=9, strangers=0), publish=False)
    [version] = world.call("advertiser.viewer", "GET", path + "/versions").json()["items"]
    assert (version["id"], version["status"], version["persons"]) == (version_id, "loaded", 9)
    report = world.call("advertiser.viewer", "GET", f"{path}/versions/{version_id}/report").json()
    assert report["rows_accepted"] == 9
    published = world.call("agency.analyst", "POST", f"{path}/versions/{version_id}/publish")
    assert published.json()["status"] == VersionStatus.PUBLISHED
    assert world.call("advertiser.viewer", "GET", path).json()["current_version_id"] == version_id
    assert world.call("advertiser.owner", "DELETE", path).status_code == 204
    assert world.call("advertiser.owner", "GET", path).status_code == 404
    left = world.call("advertiser.viewer", "GET", "/v1/bases").json()["items"]
    assert [one["id"] for one in left] == [world.stage.base_id]


def test_over_shared_values_wait_for_the_owners_word(world: World) -> None:
    schema = {**SCHEMA, "person_id": "id"}
    del schema["label"]
    dataset = world.call("provider.data_manager", "POST", "/v1/datasets", {"name": "crm", "schema": schema})
    rows = [f"{row},p{row}@example.org,{phone(77)}" for row in range(9)]
    dataset_id = dataset.json()["id"]
    version_id = world.stage.load(dataset_id, "id,email,phone", rows, publish=False)
    path = f"/v1/datasets/{dataset_id}/versions/{version_id}/publish"
    waiting = world.call("provider.data_manager", "POST", path)
    assert (waiting.status_code, waiting.json().get("code")) == (409, "datasets.version_status")
    done = world.call("provider.data_manager", "POST", path, {"over_shared": "junk"})
    assert done.json()["status"] == VersionStatus.PUBLISHED


def test_a_new_organisation_gets_its_workspace_with_its_first_base(world: World) -> None:
    room = world.stage.room
    with room.db.transaction() as tx:
        organisation = room.accounts.create_organisation(tx, name="Newcomer", kind="advertiser")
        made = room.access.clients.register(tx, organisation_id=organisation.id, name="api", role="owner")
    world.clients["newcomer.owner"] = made.client
    assert world.call("newcomer.owner", "GET", "/v1/me").json()["workspaces"] == []
    first, second = (world.call("newcomer.owner", "POST", "/v1/bases", BASE).json() for _ in range(2))
    [workspace] = world.call("newcomer.owner", "GET", "/v1/me").json()["workspaces"]
    assert first["workspace_id"] == second["workspace_id"] == workspace["id"]
    assert workspace["name"] == "Newcomer"


def test_a_base_goes_into_a_workspace_of_its_own_party_only(world: World) -> None:
    for name in ("rival_advertiser", "provider"):
        body = BASE | {"workspace_id": world.party(name).workspace_id}
        answer = world.call("advertiser.owner", "POST", "/v1/bases", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "workspaces.unknown")
    own = BASE | {"workspace_id": world.party("advertiser").workspace_id}
    assert world.call("advertiser.owner", "POST", "/v1/bases", own).status_code == 201


def test_a_base_says_on_which_basis_it_is_processed(world: World) -> None:
    schema = {name: value for name, value in SCHEMA.items() if name != "lawful_basis"}
    answer = world.call("advertiser.owner", "POST", "/v1/bases", BASE | {"schema": schema})
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == "/schema"
    assert "lawful_basis" in fault["message"]


def test_a_schema_that_must_not_be_is_refused_with_its_remedy(world: World) -> None:
    schema = {**SCHEMA, "attributes": {"religion": {"type": "boolean"}}}
    answer = world.call("advertiser.owner", "POST", "/v1/bases", BASE | {"schema": schema})
    assert (answer.status_code, answer.json()["code"]) == (400, "schema.special_category")
    assert answer.json()["remedy"]


def test_keys_are_enrolled_listed_and_revoked_for_the_party_acted_for(world: World) -> None:
    raw = new_key()
    made = world.call("agency.analyst", "POST", "/v1/keys", {"public_key": raw}).json()
    assert made in world.call("advertiser.owner", "GET", "/v1/keys").json()["items"]
    for _ in range(2):
        assert world.call("advertiser.owner", "DELETE", f"/v1/keys/{made['id']}").status_code == 204
    listed = world.call("advertiser.owner", "GET", "/v1/keys").json()["items"]
    assert [one["id"] for one in listed if one["revoked_at"] is not None] == [made["id"]]
    again = world.call("advertiser.owner", "POST", "/v1/keys", {"public_key": raw})
    assert (again.status_code, again.json()["code"]) == (400, "accounts.bad_key")
    for bad in ("not base64", "AAAA"):
        assert world.call("advertiser.owner", "POST", "/v1/keys", {"public_key": bad}).status_code == 400


def test_a_mandate_lets_an_agency_act_until_it_is_revoked(world: World) -> None:
    agency = world.party("rival_agency").organisation_id
    acts = {"Cleanroom-Advertiser": world.party("rival_advertiser").organisation_id}
    assert world.call("rival_agency.viewer", "GET", "/v1/bases", headers=acts).status_code == 404
    body = {"agency_id": agency, "actions": ["ask"], "cap": {"minor": 100, "currency": "RUB"}}
    made = world.call("rival_advertiser.owner", "POST", "/v1/mandates", body)
    assert made.status_code == 201, made.text
    assert made.json()["cap"] == {"minor": 100, "currency": "RUB"}
    assert world.call("rival_agency.viewer", "GET", "/v1/bases", headers=acts).status_code == 200
    limited = world.call("rival_agency.owner", "POST", "/v1/bases", BASE, headers=acts)
    assert (limited.status_code, limited.json()["code"]) == (403, "access.mandate_limited")
    assert made.json() in world.call("rival_agency.viewer", "GET", "/v1/mandates").json()["items"]
    path = f"/v1/mandates/{made.json()['id']}"
    assert world.call("advertiser.owner", "DELETE", path).status_code == 404
    assert world.call("rival_advertiser.owner", "DELETE", path).status_code == 204
    assert world.call("rival_agency.viewer", "GET", "/v1/bases", headers=acts).status_code == 404


def test_an_agency_must_say_for_whom_it_acts(world: World) -> None:
    answer = world.call("agency.viewer", "GET", "/v1/bases", headers={"Cleanroom-Advertiser": ""})
    assert (answer.status_code, answer.json()["code"]) == (400, "access.advertiser_missing")
    unknown, foreign = (
        world.call("agency.viewer", "GET", "/v1/bases", headers={"Cleanroom-Advertiser": name})
        for name in (NOBODY, world.party("rival_advertiser").organisation_id)
    )
    assert unknown.status_code == foreign.status_code == 404
    assert {**unknown.json(), "instance": ""} == {**foreign.json(), "instance": ""}


def test_who_is_no_agency_is_as_unknown_as_nobody(world: World) -> None:
    unknown, foreign = (
        world.call("advertiser.owner", "POST", "/v1/mandates", {"agency_id": name})
        for name in (NOBODY, world.party("provider").organisation_id)
    )
    assert unknown.status_code == foreign.status_code == 404
    assert {**unknown.json(), "instance": ""} == {**foreign.json(), "instance": ""}


def test_a_provider_sets_its_rule_and_stops_its_dataset(world: World) -> None:
    path = f"/v1/datasets/{world.stage.dataset_id}"
    policy = world.call("provider.viewer", "GET", path + "/policy").json()
    again = world.call("provider.policy_manager", "PUT", path + "/policy", {"document": policy["document"]})
    assert again.json() == policy
    bad = world.call("provider.policy_manager", "PUT", path + "/policy", {"document": {"v": 1, "rules": 3}})
    assert (bad.status_code, bad.json()["code"].partition(".")[0]) == (400, "policies")
    stopped = world.call("provider.policy_manager", "POST", path + "/stop")
    assert (stopped.status_code, stopped.json()["stopped"]) == (200, True)
    with world.stage.room.db.reading() as tx:
        assert world.stage.room.rules.stopped(tx, world.stage.dataset_id)
    assert world.call("provider.policy_manager", "POST", path + "/resume").json()["stopped"] is False


def test_a_dataset_without_a_rule_says_so(world: World) -> None:
    schema = {"match_keys": {"email": {"column": "email"}}, "lawful_basis": "contract"}
    made = world.call("provider.data_manager", "POST", "/v1/datasets", {"name": "new", "schema": schema})
    answer = world.call("provider.viewer", "GET", f"/v1/datasets/{made.json()['id']}/policy")
    assert (answer.status_code, answer.json()["code"]) == (404, "rules.unknown_policy")


def test_a_report_is_of_a_loaded_version_of_this_very_base(world: World) -> None:
    room = world.stage.room
    with room.db.reading() as tx:
        version_id = room.datasets.current(tx, world.stage.base_id).id
    path = f"/v1/bases/{world.stage.base_id}/versions/{version_id}/report"
    assert world.call("advertiser.viewer", "GET", path).status_code == 200
    other = world.call("advertiser.owner", "POST", "/v1/bases", BASE).json()["id"]
    elsewhere = path.replace(world.stage.base_id, other)
    assert world.call("advertiser.viewer", "GET", elsewhere).status_code == 404
    with room.db.transaction() as tx:
        tx.session.execute(update(DatasetVersionRow).values(status=VersionStatus.FAILED.value))
    assert world.call("advertiser.viewer", "GET", path).status_code == 409
