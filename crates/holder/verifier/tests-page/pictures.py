"""QR codes as image files and as the video of a fake camera."""

import subprocess

WIDTH = 1280
HEIGHT = 720
# Brightness of dark and light squares, as a camera sees a good print and one that is hardly there.
CLEAR = (35, 225)
FAINT = (150, 185)


def image(text, path, module=6, colours=("000000", "FFFFFF")):
    """Writes a PNG or SVG of the code at level Q; colours of the modules and of the ground."""
    kind = path.suffix[1:].upper()
    command = ["qrencode", "-l", "Q", "-s", str(module), "-m", "4", "-t", kind, "-o", str(path)]
    command += [f"--foreground={colours[0]}", f"--background={colours[1]}"]
    subprocess.run([*command, "--", text], check=True)


def modules(text):
    """Rows of the code, with a quiet zone; true is dark."""
    command = ["qrencode", "-l", "Q", "-m", "4", "-t", "ASCII", "-o", "-", "--", text]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line for line in drawn.split("\n") if line]
    return [[line[at] == "#" for at in range(0, len(line), 2)] for line in rows]


def frame(text, module=8, squares=CLEAR):
    """Brightness of one camera picture: a code in the middle of a grey wall, or the wall alone."""
    wall = bytes(110 + (column * 40) // WIDTH for column in range(WIDTH))
    lines = [wall] * HEIGHT
    if text is not None:
        rows = modules(text)
        left = (WIDTH - len(rows) * module) // 2
        top = (HEIGHT - len(rows) * module) // 2
        for number, row in enumerate(rows):
            code = b"".join(bytes([squares[0] if dark else squares[1]]) * module for dark in row)
            line = wall[:left] + code + wall[left + len(code):]
            for at in range(module):
                lines[top + number * module + at] = line
    return b"".join(lines)


def video(scenes, path, rate=4, module=8, squares=CLEAR):
    """Writes a YUV4MPEG2 video of scenes (text or None, seconds); Chromium plays it again and again."""
    colour = bytes([128]) * (WIDTH * HEIGHT // 2)
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{rate}:1 Ip A1:1 C420\n".encode())
        for text, seconds in scenes:
            picture = b"FRAME\n" + frame(text, module, squares) + colour
            for _ in range(int(seconds * rate)):
                file.write(picture)
