"""Makes pictures of a printed sheet worse, as phones and photocopiers do.

degrade.py SHEET.png FOLDER

Writes one PNG for each kind into FOLDER, and `unreadable.png`, which no reader may read.
"""

import random
import sys
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter


def low_contrast(picture: Image.Image, dark: int, light: int) -> Image.Image:
    """Black becomes `dark` and white becomes `light`, of 255."""
    return picture.point(lambda grey: dark + grey * (light - dark) // 255)


def half(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def noisy(picture: Image.Image, strength: int) -> Image.Image:
    source = random.Random(1)
    noise = bytes(source.randrange(2 * strength) for _ in range(picture.width * picture.height))
    layer = Image.frombytes("L", picture.size, noise)
    pairs = zip(picture.tobytes(), layer.tobytes())
    data = bytes(min(255, max(0, grey + change - strength)) for grey, change in pairs)
    return Image.frombytes("L", picture.size, data)


def kinds(sheet: Image.Image, module: float) -> dict[str, Image.Image]:
    """`module` is the width of a module in pixels."""
    blur = lambda part: sheet.filter(ImageFilter.GaussianBlur(module * part))
    return {
        "plain": sheet,
        "blurred": blur(0.35),
        "low-contrast": low_contrast(sheet, 105, 165),
        "blurred-and-low-contrast": low_contrast(blur(0.3), 90, 180),
        "dark": ImageEnhance.Brightness(sheet).enhance(0.4),
        "tilted": sheet.rotate(7, expand=True, fillcolor=255, resample=Image.Resampling.BICUBIC),
        "upside-down": sheet.rotate(180),
        "small": half(sheet),
        "noisy-and-small": half(noisy(sheet, 25)),
        "unreadable": blur(2.5),
    }


def main() -> None:
    sheet = Image.open(sys.argv[1]).convert("L")
    folder = Path(sys.argv[2])
    # The sheet is 105 mm wide, the code 60 mm; a strip has about 57 modules.
    module = sheet.width * 60 / 105 / 57
    for name, picture in kinds(sheet, module).items():
        picture.save(folder / f"{name}.png")


main()
