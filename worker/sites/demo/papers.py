"""The vehicles' PDFs: forms made once by fpdf2, then filled in for each vehicle.

Laying a page out takes milliseconds, and a night of 2,000 vehicles asks for thousands of documents while the browsers
want the processor. So each form is laid out once, uncompressed, with fields of a fixed width; filling one in replaces
each field by as many bytes, which leaves every offset in the file true. A document is made when it is asked for and
not kept: it has the same bytes each time, in every process.
"""

import hashlib
import io
import re
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from fpdf import FPDF

from worker.sites.demo.pictures import photo, scan
from worker.sites.demo.vehicles import Vehicle, dice

_MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
"""Creation date of every form; fpdf2 derives the file's id from it and from the content."""
_FIELD = re.compile(rb"~~(number|date|ref|vin|car|colour|mileage|price|tax|total)_*~~")
_ENCODING = "cp1252"
"""WinAnsiEncoding, in which PDF viewers read the built-in fonts' strings."""

_INVOICE_SCANS = ((), (10,))
_INSPECTION_SCANS = ((10,), (20, 20), (30, 40, 30), (50, 60, 40, 50), (90, 90, 90, 90, 90))
_TITLE_SCANS = ((10,), (40,))


class Paper(msgspec.Struct, frozen=True):
    """What is true of one document: its file name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    bytes: int
    sha256: str


def document(seed: int, vehicle: Vehicle, name: str) -> bytes:
    """Return the PDF `name` of a vehicle: between 20 KB and 2 MB, different for each vehicle."""
    roll = dice(seed, "document", vehicle.ref, name)
    tax = vehicle.price * 19 // 119
    values = {
        "number": f"{roll.randrange(10**8):08}",
        "date": f"{roll.randint(1, 28):02}.{roll.randint(1, 12):02}.2025",
        "ref": vehicle.ref,
        "vin": vehicle.vin,
        "car": vehicle.title,
        "colour": vehicle.colour,
        "mileage": f"{vehicle.mileage:,} km",
        "price": f"EUR {vehicle.price - tax:,}.00",
        "tax": f"EUR {tax:,}.00",
        "total": f"EUR {vehicle.price:,}.00",
    }
    match name:
        case "invoice.pdf":
            parts = _invoice(vehicle.body, roll.choice(_INVOICE_SCANS))
        case "inspection.pdf":
            parts = _inspection(roll.choices(_INSPECTION_SCANS, weights=(30, 30, 25, 12, 3))[0])
        case _:
            parts = _title(roll.choice(_TITLE_SCANS))
    return b"".join(
        part if width == 0 else values[part.decode()].encode(_ENCODING).ljust(width)[:width] for part, width in parts
    )


@lru_cache(maxsize=100_000)
def paper(seed: int, vehicle: Vehicle, name: str) -> Paper:
    """Return what is true of the document `name` of a vehicle."""
    content = document(seed, vehicle, name)
    return Paper(name, len(content), hashlib.sha256(content).hexdigest())


_Parts = tuple[tuple[bytes, int], ...]


class _Form(FPDF):
    """A page with the dealer's head, and the two kinds of rows that the forms are made of."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.set_creation_date(_MADE)
        self.set_compression(False)
        self.add_page()
        self.set_fill_color(35, 82, 124)
        self.rect(0, 0, 210, 24, style="F")
        self.set_text_color(255, 255, 255)
        self.set_font("Helvetica", "B", 17)
        self.set_xy(15, 7)
        self.cell(110, 10, "Harbour Lane Motors")
        self.set_font("Helvetica", "", 13)
        self.cell(70, 10, title, align="R")
        self.set_text_color(30, 30, 30)
        self.set_xy(15, 34)

    def row(self, label: str, value: str, *, bold: bool = False) -> None:
        """Add a label and its value, with a line below."""
        self.set_x(15)
        self.set_font("Helvetica", "B" if bold else "", 10)
        self.cell(60, 8, label, border="B")
        self.cell(120, 8, value, border="B", new_x="LMARGIN", new_y="NEXT")

    def vehicle(self) -> None:
        """Add the rows that name the vehicle."""
        self.row("Stock number", _field("ref", 24), bold=True)
        self.row("Vehicle", _field("car", 40))
        self.row("Vehicle identification number", _field("vin", 17))
        self.row("Colour", _field("colour", 20))
        self.row("Mileage", _field("mileage", 14))

    def scans(self, qualities: tuple[int, ...]) -> None:
        """Add a page for each scan."""
        for number, quality in enumerate(qualities):
            self.add_page()
            self.image(io.BytesIO(scan(number, quality)), x=10, y=10, w=190)

    def parts(self) -> _Parts:
        """Return the form cut at its fields: bytes to be kept with 0, names of fields with their width in bytes."""
        content = bytes(self.output())
        parts: list[tuple[bytes, int]] = []
        position = 0
        for field in _FIELD.finditer(content):
            parts += (content[position : field.start()], 0), (field[1], field.end() - field.start())
            position = field.end()
        return (*parts, (content[position:], 0))


def _field(name: str, width: int) -> str:
    return f"~~{name.ljust(width - 4, '_')}~~"


@lru_cache
def _invoice(body: str, scans: tuple[int, ...]) -> _Parts:
    form = _Form("Invoice")
    form.row("Invoice number", _field("number", 12), bold=True)
    form.row("Date", _field("date", 10))
    form.vehicle()
    form.image(io.BytesIO(photo(body, "Slate", 0)), x=15, y=form.get_y() + 6, w=100)
    form.set_y(form.get_y() + 76)
    form.row("Net price", _field("price", 18))
    form.row("Value added tax, 19 %", _field("tax", 18))
    form.row("Total", _field("total", 18), bold=True)
    form.scans(scans)
    return form.parts()


@lru_cache
def _inspection(scans: tuple[int, ...]) -> _Parts:
    form = _Form("Inspection report")
    form.row("Report number", _field("number", 12), bold=True)
    form.row("Date", _field("date", 10))
    form.vehicle()
    form.set_y(form.get_y() + 8)
    for point in ("Brakes", "Steering", "Suspension", "Tyres", "Lights", "Engine", "Exhaust", "Body and frame"):
        form.row(point, "no defects found")
    form.scans(scans)
    return form.parts()


@lru_cache
def _title(scans: tuple[int, ...]) -> _Parts:
    form = _Form("Certificate of title")
    form.row("Certificate number", _field("number", 12), bold=True)
    form.row("Issued", _field("date", 10))
    form.vehicle()
    form.scans(scans)
    return form.parts()
