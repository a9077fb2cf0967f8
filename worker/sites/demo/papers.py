"""The vehicles' PDFs: forms made once by fpdf2, then filled in for each vehicle.

Laying a page out takes milliseconds, and a night of 2,000 vehicles asks for thousands of documents while the browsers
want the processor. So each form is laid out once, uncompressed, with fields of a fixed width; filling one in replaces
each field by as many bytes, which leaves every offset in the file true. A document is made when it is asked for and
not kept: it has the same bytes each time, in every process.
"""

import hashlib
from functools import lru_cache

import msgspec

from worker.sites.demo.vehicles import UNIFORM, Vehicle, dice

_ENCODING = "cp1252"
"""WinAnsiEncoding, in which PDF viewers read the built-in fonts' strings."""

_INVOICE_SCANS = ((), (10,))
_INSPECTION_SCANS = ((10,), (20, 20), (30, 40, 30), (50, 60, 40, 50), (90, 90, 90, 90, 90))
_TITLE_SCANS = ((10,), (40,))
_UNIFORM_SCANS = (60,)


class Paper(msgspec.Struct, frozen=True):
    """What is true of one document: its file name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    bytes: int
    sha256: str


def document(seed: int, vehicle: Vehicle, name: str) -> bytes:
    """Return the PDF `name` of a vehicle: between 20 KB and 2 MB, different for each vehicle."""
    from worker.sites.demo import forms  # noqa: PLC0415 - the website listens before fpdf2 is loaded, see there

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
            parts = forms.invoice(vehicle.body, roll.choice(_INVOICE_SCANS))
        case "inspection.pdf":
            parts = forms.inspection(roll.choices(_INSPECTION_SCANS, weights=(30, 30, 25, 12, 3))[0])
        case _ if name in UNIFORM:
            parts = forms.title(_UNIFORM_SCANS)
        case _:
            parts = forms.title(roll.choice(_TITLE_SCANS))
    return b"".join(
        part if width == 0 else values[part.decode()].encode(_ENCODING).ljust(width)[:width] for part, width in parts
    )


@lru_cache(maxsize=100_000)
def paper(seed: int, vehicle: Vehicle, name: str) -> Paper:
    """Return what is true of the document `name` of a vehicle."""
    content = document(seed, vehicle, name)
    return Paper(name, len(content), hashlib.sha256(content).hexdigest())
