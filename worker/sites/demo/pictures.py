"""Photos of vehicles and scans of paper, drawn with Pillow: real JPEGs, the same in every process."""

import io
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter

from worker.sites.demo.vehicles import dice

VIEWS = 3
"""Photos of each vehicle."""

_PAINT = {
    "Ivory": "#e9e4d4",
    "Slate": "#6b7a89",
    "Crimson": "#a8242f",
    "Harbour Blue": "#23527c",
    "Moss": "#556b3a",
    "Amber": "#d98e1f",
    "Graphite": "#3a3d42",
    "Teal": "#1f7f7a",
}
_SKIES = (("#bcd8ee", "#f3efe4"), ("#f0b48a", "#5b6f95"), ("#d5d9dc", "#eef0f1"))
_ROOFS = {
    "hatch": ((96, 168), (150, 112), (300, 108), (372, 165)),
    "sedan": ((110, 168), (168, 118), (278, 116), (338, 165)),
    "suv": ((84, 166), (118, 96), (332, 92), (370, 163)),
    "pickup": ((92, 166), (130, 100), (232, 98), (250, 165)),
}
_SCALE = 2


def _points(*points: tuple[int, int]) -> list[tuple[int, int]]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


@lru_cache(maxsize=256)
def photo(body: str, colour: str, view: int) -> bytes:
    """Return a JPEG of 480 by 300 pixels. `view` is 0 to `VIEWS` - 1: by day, at dusk from the other side, close."""
    width, height = 480 * _SCALE, 300 * _SCALE
    top, bottom = _SKIES[view % len(_SKIES)]
    sky = Image.linear_gradient("L").resize((width, height))
    image = Image.composite(Image.new("RGB", sky.size, bottom), Image.new("RGB", sky.size, top), sky)
    draw = ImageDraw.Draw(image)
    draw.rectangle(_points((0, 205), (480, 300)), fill="#8b8d8a")
    draw.rectangle(_points((0, 200), (480, 206)), fill="#73756f")
    draw.ellipse(_points((40, 226), (440, 250)), fill="#6a6c69")
    paint = _PAINT[colour]
    roof = _ROOFS[body]
    draw.polygon(_points((44, 222), (48, 176), *roof, (432, 172), (440, 222)), fill=paint)
    (left, low), (left_top, high), (right_top, _), (right, _) = roof
    middle = (left_top + right_top) // 2
    for pane in (
        ((left + 14, low - 2), (left_top + 6, high + 8), (middle - 5, high + 8), (middle - 5, low - 2)),
        ((middle + 5, low - 2), (middle + 5, high + 8), (right_top - 4, high + 8), (right - 14, low - 2)),
    ):
        draw.polygon(_points(*pane), fill="#26323c")
    draw.line(_points((50, 190), (434, 188)), fill="#00000055", width=_SCALE)
    draw.line(_points((middle, low), (middle, 218)), fill="#222222", width=_SCALE)
    draw.rectangle(_points((430, 184), (440, 194)), fill="#f5ecc0")
    draw.rectangle(_points((44, 184), (52, 194)), fill="#c0392b")
    for wheel in (124, 360):
        draw.ellipse(_points((wheel - 34, 190), (wheel + 34, 258)), fill="#17181a")
        draw.ellipse(_points((wheel - 18, 206), (wheel + 18, 242)), fill="#b9bdc1")
    noise = Image.frombytes("L", (width // 4, height // 4), dice("grain", view).randbytes(width * height // 16))
    grain = noise.resize((width, height)).convert("RGB")
    image = Image.blend(image, grain, 0.06)
    if view == 1:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if view == 2:  # noqa: PLR2004 - the third view is the close one
        image = image.crop((width // 3, height // 4, width, height - height // 12))
    return _jpeg(image.resize((480, 300), Image.Resampling.LANCZOS), 80)


@lru_cache(maxsize=32)
def scan(number: int, quality: int) -> bytes:
    """Return a scanned form of 1000 by 1414 pixels as a JPEG; the better the `quality`, the more bytes it takes."""
    width, height = 1000, 1414
    roll = dice("scan", number)
    paper = Image.frombytes("L", (width // 2, height // 2), roll.randbytes((width // 2) * (height // 2)))
    paper = paper.resize((width, height)).point([200 + value // 5 for value in range(256)])
    draw = ImageDraw.Draw(paper)
    for row in range(90, height - 260, 58):
        draw.line((80, row, width - 80, row), fill=120, width=2)
        x = 90
        while x < width - 200 and roll.random() < 0.9:  # noqa: PLR2004 - one line in ten ends early, word by word
            word = roll.randint(20, 90)
            draw.rectangle((x, row - 26, x + word, row - 12), fill=roll.randint(40, 90))
            x += word + 14
    signature = [(120 + step * 9, height - 140 + roll.randint(-46, 46)) for step in range(34)]
    draw.line(signature, fill=35, width=4, joint="curve")
    draw.ellipse((width - 320, height - 250, width - 120, height - 50), outline=110, width=6)
    return _jpeg(paper.filter(ImageFilter.GaussianBlur(0.6)).rotate(roll.uniform(-0.8, 0.8), fillcolor=225), quality)
