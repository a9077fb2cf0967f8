"""The inventory: seeded vehicles, the same in every process that is given the same seed."""

import csv
import io
import random
from collections.abc import Iterator

import msgspec

ODD_REFERENCES = {2: "T-1042/B", 4: "KX-1207a", 5: "KX-1207A", 7: "MÜ-2044", 8: "LOT 7 12"}
"""By position in the inventory: what real stock numbers do to those who forget to quote them."""

COLUMNS = ("Stock No", "VIN", "Year", "Make", "Model", "Colour", "Mileage", "Price")

_MODELS = (
    ("Alder", "Brook", "hatch", 14_000),
    ("Alder", "Grove", "sedan", 21_000),
    ("Corvid", "Rook", "suv", 29_000),
    ("Corvid", "Jay", "hatch", 16_500),
    ("Halden", "Fjord", "suv", 34_000),
    ("Halden", "Strand", "sedan", 26_000),
    ("Merrow", "Tide", "sedan", 23_500),
    ("Merrow", "Quay 150", "pickup", 31_000),
    ("Tamarack", "Ridge", "pickup", 38_000),
    ("Tamarack", "Vale", "suv", 27_500),
)
_COLOURS = ("Ivory", "Slate", "Crimson", "Harbour Blue", "Moss", "Amber", "Graphite", "Teal")
_VIN_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_DOCUMENTS = (("invoice.pdf",), ("invoice.pdf", "inspection.pdf"), ("invoice.pdf", "inspection.pdf", "title.pdf"))
_DELIVERIES = ("link", "link", "form", "script")
UNIFORM = ("report-1.pdf", "report-2.pdf")
"""The documents of every vehicle of a uniform inventory, each behind a plain address."""


class Vehicle(msgspec.Struct, frozen=True):
    """One vehicle. `documents` are the names of its PDFs, `deliveries` how the page offers each of them."""

    ref: str
    vin: str
    year: int
    make: str
    model: str
    body: str
    colour: str
    mileage: int
    """Kilometres."""
    price: int
    """Euros."""
    documents: tuple[str, ...]
    deliveries: tuple[str, ...]
    """``link``: a plain address; ``form``: a button that posts a form; ``script``: a button that saves a blob."""

    @property
    def title(self) -> str:
        """Year, make and model."""
        return f"{self.year} {self.make} {self.model}"


def dice(*seed: object) -> random.Random:
    """Return a generator that rolls the same in every process for the same seed."""
    return random.Random(":".join(map(str, seed)))  # noqa: S311 - for repeatable demo data, never for a secret


def _vehicle(seed: int, index: int, *, uniform: bool) -> Vehicle:
    roll = dice(seed, "vehicle", index)
    make, model, body, price = roll.choice(_MODELS)
    year = roll.randint(2014, 2025)
    documents = UNIFORM if uniform else roll.choice(_DOCUMENTS)
    serial = f"{roll.choice('ABCDEFGH')}-{10_000 + index * 7 + roll.randrange(7)}"
    return Vehicle(
        ref=ODD_REFERENCES.get(index, serial),
        vin="".join(roll.choices(_VIN_LETTERS, k=17)),
        year=year,
        make=make,
        model=model,
        body=body,
        colour=roll.choice(_COLOURS),
        mileage=(2026 - year) * roll.randint(7_000, 21_000),
        price=round(price * roll.uniform(0.55, 1.1) * 0.94 ** (2025 - year) / 50) * 50,
        documents=documents,
        deliveries=tuple("link" if uniform else roll.choice(_DELIVERIES) for _ in documents),
    )


class Inventory:
    """So many vehicles for a seed. A larger inventory begins with the vehicles of a smaller one.

    In a `uniform` one, which is for measurements, each vehicle has two documents of 190 KB behind plain addresses.
    """

    def __init__(self, vehicles: int, seed: int, *, uniform: bool = False) -> None:
        self.seed = seed
        self.uniform = uniform
        cars = (_vehicle(seed, index, uniform=uniform) for index in range(vehicles))
        self._vehicles = {vehicle.ref: vehicle for vehicle in cars}
        self.references = tuple(self._vehicles)

    def __len__(self) -> int:
        return len(self.references)

    def __iter__(self) -> Iterator[Vehicle]:
        return iter(self._vehicles.values())

    def find(self, ref: str) -> Vehicle | None:
        """Return the vehicle with exactly this reference."""
        return self._vehicles.get(ref)

    def page(self, number: int, size: int) -> list[Vehicle]:
        """Return page `number`, counted from 1; empty beyond the end."""
        return [self._vehicles[ref] for ref in self.references[(number - 1) * size : number * size]]

    def export(self) -> bytes:
        """Return the inventory as CSV, in UTF-8 with a byte order mark and Windows line ends, for spreadsheets."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for car in self:
            writer.writerow(
                (car.ref, car.vin, car.year, car.make, car.model, car.colour, car.mileage, f"{car.price}.00")
            )
        return text.getvalue().encode("utf-8-sig")
