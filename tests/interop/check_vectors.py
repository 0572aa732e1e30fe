"""Runs `pass hcert` over the vectors of make_vectors.py: by themselves, and each text with its certificate.

check_vectors.py PASS FOLDER
"""

import json
import subprocess
import sys
from pathlib import Path


def run(*arguments: str, text: str = "") -> tuple[int, dict]:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, check=False)
    if not done.stdout:
        sys.exit(f"{arguments}: {done.stderr}")
    return done.returncode, json.loads(done.stdout)


def check(program: str, path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    faults = content["FAULTS"]
    code, said = run(program, "hcert", "--json", "--vector", str(path))
    found = said["vectors"][0]
    differing = [one for one in found["expectations"] if one["found"] != one["expected"]]
    if code != 0 or differing:
        sys.exit(f"{path.name}: {differing}")
    if found["way"]["faults"] != faults:
        sys.exit(f"{path.name}: the faults are {found['way']['faults']}, not {faults}")

    # The contrary of every expectation must be noticed.
    results = content["EXPECTEDRESULTS"]
    content["EXPECTEDRESULTS"] = {name: not expected for name, expected in results.items()}
    contrary = path.with_suffix(".contrary")
    contrary.write_text(json.dumps(content), encoding="utf-8")
    code, _ = run(program, "hcert", "--json", "--vector", str(contrary))
    contrary.unlink()
    if code != 1:
        sys.exit(f"{path.name}: its contrary ends with {code}")

    certificate = path.with_suffix(".certificate")
    certificate.write_text(content["TESTCTX"]["CERTIFICATE"], encoding="utf-8")
    clock = content["TESTCTX"]["VALIDATIONCLOCK"]
    code, said = run(
        program, "hcert", "--json", "--certificate", str(certificate), "--at", clock, text=content["PREFIX"]
    )
    certificate.unlink()
    of_text = [fault for fault in faults if fault != "qr"]
    if said["certificates"][0]["faults"] != of_text or code != (1 if of_text else 0):
        sys.exit(f"{path.name}: as text it ends with {code} and {said['certificates'][0]['faults']}")


def main() -> None:
    program, folder = sys.argv[1], Path(sys.argv[2])
    paths = sorted(folder.glob("*.json"))
    if not paths:
        sys.exit(f"{folder}: no vectors")
    for path in paths:
        check(program, path)
    print(f"{len(paths)} vectors of health certificates: each expectation as expected, each fault named")


main()
