"""Rules that docs/portal/openapi.json says in words only, for the requests that schemathesis makes."""

import re

import schemathesis

# Initials and months are left out where they are as they must be: with a day of birth they may be too rare.
DROPPED = {
    "given_initial": lambda value: isinstance(value, str) and re.fullmatch("[A-Z]", value),
    "family_initial": lambda value: isinstance(value, str) and re.fullmatch("[A-Z]", value),
    "birth_month": lambda value: type(value) in (int, float) and value in range(1, 13),
}


def keep_to_rules(body):
    """Keeps to one pseudonym of each kind and of an open key, and to attributes that many people have."""
    if not isinstance(body, dict):
        return body
    given = body.get("pseudonyms")
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        for one in given:
            if type(one.get("epoch")) in (int, float) and 1 <= one["epoch"] <= 65535:
                one["epoch"] = 1
        kinds = {(str(one.get("suite")), str(one.get("scheme")), str(one.get("epoch"))): one for one in given}
        body["pseudonyms"] = list(kinds.values())
    holder = body.get("holder")
    if isinstance(holder, dict):
        for name, is_right in DROPPED.items():
            if name in holder and is_right(holder[name]):
                del holder[name]
        if holder.get("birth_day") in (30, 31):
            holder["birth_day"] = 29
    return body


@schemathesis.hook
def map_body(context, body):
    """For the requests of the fuzzing phase."""
    return keep_to_rules(body)


@schemathesis.hook
def before_call(context, case, kwargs):
    """For those of the coverage phase, which are not mapped."""
    case.body = keep_to_rules(case.body)
