"""Rules that docs/portal/openapi.json says in words only, for the requests that schemathesis makes."""

import re

import schemathesis

# Attributes that are left out where they are as they must be: with a day of birth they may be too rare.
DROPPED = {
    "given_initial": lambda value: isinstance(value, str) and re.fullmatch("[A-Z]", value),
    "family_initial": lambda value: isinstance(value, str) and re.fullmatch("[A-Z]", value),
    "birth_month": lambda value: type(value) in (int, float) and value in range(1, 13),
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Applies them to every request, in whichever phase it is made."""
    keep_to_words(case.body)


def keep_to_words(body):
    """Keeps to one pseudonym of each kind and of an open key, and to attributes that many people have."""
    if not isinstance(body, dict):
        return
    given = body.get("pseudonyms")
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        for one in given:
            if isinstance(one.get("epoch"), (int, float)) and 1 <= one["epoch"] <= 65535:
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
