"""The program city-portal over a registry, as a process with its log in a file."""

import base64
import os
import secrets
import socket
import subprocess
import tempfile
from pathlib import Path

from browser import free_port, wait

PROGRAMS = Path(os.environ["PORTAL_PROGRAMS"])


class Portal:
    """`patience` is the number of seconds for which it waits for the registry: no pause of a busy machine reaches the usual one."""

    def __init__(self, registry_port, patience=60):
        self.folder = tempfile.TemporaryDirectory(prefix="portal-test-")
        self.port = free_port()
        base = Path(self.folder.name)
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        shared = base / "shared"
        shared.touch(mode=0o600)
        shared.write_text(f"pseudonym 1 {key}\n")
        (base / "city-portal.toml").write_text(
            f'[portal]\naddress = "127.0.0.1:{self.port}"\nrequests_per_hour = 100000\n'
            f'[registry]\nbase_url = "http://127.0.0.1:{registry_port}"\ntimeout_seconds = {patience}\n'
            '[keys]\nshared = { file = "shared" }\n'
        )
        self.log = base / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "city-portal", "run"], cwd=base, stderr=log, env=os.environ | {"RUST_LOG": "trace"}
            )
        wait(self.is_up, "the portal to listen")

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def close(self):
        self.stop()
        self.folder.cleanup()


def verdict(folder, picture):
    """What the verifier says of a picture of a code, without network."""
    arguments = ["--root", folder / "root.jwk", "--trust", folder / "trust.cose", "--revocations", folder / "revocations.cose"]
    said = subprocess.run([PROGRAMS / "pass", "verify", *arguments, picture], capture_output=True, text=True)
    return said.returncode, said.stdout + said.stderr
