"""What the check of a policy says of what would be read otherwise than meant, could never work, or is misspelt."""

from __future__ import annotations

import pytest

from routing.policy import PolicyError, read_policy

POLICY = """\
time_zone: Europe/Berlin
currency: EUR
tiers: [platinum, gold]
calendars:
  office:
    hours: {monday: [09:00-17:00]}
policies:
  - name: Social
    when: channel.kind == "social"
    first_reply_time: {platinum: 15m, default: 2h}
    next_reply_time: {default: 2h}
  - name: Rest
    calendar: office
    first_reply_time: {default: 4h}
    next_reply_time: {default: 4h}
handling: {default: 5m}
"""


def problems(text: str) -> list[str]:
    try:
        read_policy(text)
    except PolicyError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("when", "field", "quoted"),
    [
        # YAML takes what stands after the sign for a tag, and the sign alone for nothing.
        ("!(customer.valence < 0)", "policies[0].when", "'!(customer.valence < 0)'"),
        ("!customer.known", "policies[0].when", "'!customer.known'"),
        ("! customer.known # not yet", "policies[0].when", "'! customer.known'"),
        ('!("complaint" in intents)', "", """'!("complaint" in intents)'"""),
        ("!customer.known && customer.followers > 5", "", "'!customer.known && customer.followers > 5'"),
        ('"complaint" in intents # or so', "", """'"complaint" in intents'"""),
    ],
)
def test_a_condition_that_yaml_reads_otherwise(when: str, field: str, quoted: str) -> None:
    text = POLICY.replace('when: channel.kind == "social"', f"when: {when}")
    (told,) = problems(text)
    assert told.startswith(f"line 9: {field}: ")
    assert f"what begins with {quoted[1]} stands in single quotes: {quoted}" in told
    assert problems(POLICY.replace('channel.kind == "social"', quoted)) == []
