"""Rules that docs/portal/openapi.json says in words only, for the requests that schemathesis makes."""

import re

import schemathesis

# The generator of ristretto255 (RFC 9496, appendix A.1), which is an element as good as any.
ELEMENT = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Applies them to every request, in whichever phase it is made."""
    keep_to_words(case.body)


def keep_to_words(body):
    """Keeps to one pseudonym of each kind and of an open key, to elements, and to attributes that many people have together."""
    if not isinstance(body, dict):
        return
    given = body.get("pseudonyms")
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        for one in given:
            if isinstance(one.get("epoch"), (int, float)) and 1 <= one["epoch"] <= 65535:
                one["epoch"] = 1
            value = one.get("value")
            if one.get("suite") == "voprf" and isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{64}", value):
                one["value"] = ELEMENT
        kinds = {(str(one.get("suite")), str(one.get("scheme")), str(one.get("epoch"))): one for one in given}
        body["pseudonyms"] = list(kinds.values())
    if isinstance(body.get("holder"), dict):
        keep_to_frequent(body["holder"])


def keep_to_frequent(holder):
    """Leaves one initial, a frequent one, and the month, or a day of birth that every month has; what is wrong stays."""
    initials = [name for name in ("given_initial", "family_initial") if is_letter(holder.get(name))]
    for name in initials:
        holder[name] = "A"
    if len(initials) == 2:
        del holder["family_initial"]
    day = holder.get("birth_day")
    # 7.0 is an integer too.
    if type(day) in (int, float) and 1 <= day <= 31 and day % 1 == 0:
        holder["birth_day"] = min(int(day), 28)
        if initials:
            del holder["birth_day"]


def is_letter(value):
    return isinstance(value, str) and len(value) == 1 and "A" <= value <= "Z"
