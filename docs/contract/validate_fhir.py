"""Validates the FHIR resources of decoded batches with an implementation that is not ours.

    python validate_fhir.py DECODED_JSON...        (- reads standard input)

Uses the R4B models of fhir.resources, which know the elements of FHIR, their types, which are required and which
exclude each other. The few rules of R4 that those models leave out and the contract relies on are checked here.
"""

import json
import sys
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

KINDS = ("Immunization", "Observation", "Condition")
# The required value sets immunization-status and observation-status of R4.
STATUSES = {
    "Immunization": {"completed", "entered-in-error", "not-done"},
    "Observation": {
        *("registered", "preliminary", "final", "amended"),
        *("corrected", "cancelled", "entered-in-error", "unknown"),
    },
}


def invariants(resource):
    """Faults against rules of FHIR R4 that the models do not check."""
    kind = resource["resourceType"]
    if kind in STATUSES and resource.get("status") not in STATUSES[kind]:
        yield "status: not in FHIR's required value set"
    contained = {"#" + inner.get("id", ""): inner for inner in resource.get("contained", [])}
    person = (resource.get("patient") or resource.get("subject") or {}).get("reference")
    if contained.get(person, {}).get("resourceType") != "Patient":
        yield "the person is not the contained Patient"
    if set(contained) - {person}:
        yield "dom-3: a contained resource that nothing refers to"
    if kind == "Condition":
        codes = {
            name: {coding.get("code") for coding in resource.get(name, {}).get("coding", [])}
            for name in ("clinicalStatus", "verificationStatus")
        }
        in_error = "entered-in-error" in codes["verificationStatus"]
        if in_error and codes["clinicalStatus"]:
            yield "con-5: a clinical status although entered in error"
        if not in_error and not codes["clinicalStatus"]:
            yield "con-3: no clinical status although not entered in error"
        if "abatementDateTime" in resource and not codes["clinicalStatus"] & {"inactive", "resolved", "remission"}:
            yield "con-4: abated, but the clinical status says otherwise"


def faults(event):
    """What is wrong with one event's resource, in words that repeat no value of it."""
    resource = event.get("data") if isinstance(event, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") not in KINDS:
        yield f"data is none of {', '.join(KINDS)}"
        return
    for candidate in (resource, *resource.get("contained", [])):
        try:
            get_fhir_model_class(candidate["resourceType"]).model_validate(candidate)
        except (ValidationError, KeyError) as error:
            details = error.errors() if isinstance(error, ValidationError) else [{"loc": (), "msg": "no resourceType"}]
            for detail in details:
                where = ".".join(str(part) for part in detail["loc"])
                yield f"{candidate.get('resourceType')} {where}: {detail['msg']}"
    yield from invariants(resource)


def main(names):
    if not names:
        print(__doc__, file=sys.stderr)
        return 2
    found, checked = 0, 0
    for name in names:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        events = json.loads(text)
        if not isinstance(events, list) or not events:
            print(f"{name}: not an array of events", file=sys.stderr)
            found += 1
            continue
        for place, event in enumerate(events):
            checked += 1
            for fault in faults(event):
                found += 1
                print(f"{name}: event {place}: {fault}", file=sys.stderr)
    print(f"{checked} FHIR resources checked, {found} faults", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
