"""The reference page names every rule, and its example can be read."""

import re
from pathlib import Path

from policies.codec import policy_from_yaml
from policies.diff import preset_above
from policies.rules import REGISTRY
from policies.sectors import SECTORS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "policies.md").read_text(encoding="utf-8")


def test_the_example_is_a_tightening_of_standard_with_every_rule_but_the_override():
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    document = policy_from_yaml(example[1])

    assert preset_above(document) == "standard"
    assert {rule.tag for rule in document.rules} == set(REGISTRY.tags) - {"unsafe"}


def test_every_rule_and_every_sector_is_described():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(REGISTRY.tags)
    for sector in SECTORS:
        assert re.search(rf"\b{sector}\b", PAGE), sector
