"""The forms of the vehicles' PDFs, laid out by fpdf2 once each and cut at the fields that papers.py fills in.

Only papers.py imports this module, and late: fpdf2 brings a font library along that takes half a second to load.
"""

import io
import re
from datetime import UTC, datetime
from functools import lru_cache

from fpdf import FPDF

from worker.sites.demo.pictures import photo, scan

Parts = tuple[tuple[bytes, int], ...]
"""A form cut at its fields: bytes to be kept with 0, names of fields with their width in bytes."""

_MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
"""Creation date of every form; fpdf2 derives the file's id from it and from the content."""
_FIELD = re.compile(rb"~~(number|date|ref|vin|car|colour|mileage|price|tax|total)_*~~")


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

    def parts(self) -> Parts:
        """Return the form cut at its fields."""
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
def invoice(body: str, scans: tuple[int, ...]) -> Parts:
    """Return the invoice for a vehicle with this body, with a page for each scan of the given JPEG quality."""
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
def inspection(scans: tuple[int, ...]) -> Parts:
    """Return the inspection report, with a page for each scan of the given JPEG quality."""
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
def title(scans: tuple[int, ...]) -> Parts:
    """Return the certificate of title, with a page for each scan of the given JPEG quality."""
    form = _Form("Certificate of title")
    form.row("Certificate number", _field("number", 12), bold=True)
    form.row("Issued", _field("date", 10))
    form.vehicle()
    form.scans(scans)
    return form.parts()
