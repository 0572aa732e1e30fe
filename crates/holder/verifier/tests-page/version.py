"""The version of the page: a digest of its files. Run as a program, it writes the version into page-files.js."""

import hashlib
import re

from site_server import PAGE

LIST = PAGE / "page-files.js"
VERSION = re.compile(r'PAGE_VERSION = "[^"]*"')


def kept_files():
    return re.findall(r'^  "([^"]+)",$', LIST.read_text(), re.MULTILINE)


def version_of_files():
    digest = hashlib.sha256()
    for name in [*kept_files(), "sw.js"]:
        content = (PAGE / ("index.html" if name == "./" else name)).read_bytes()
        if name == LIST.name:
            content = VERSION.sub("", content.decode()).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    LIST.write_text(VERSION.sub(f'PAGE_VERSION = "{version_of_files()}"', LIST.read_text()))
