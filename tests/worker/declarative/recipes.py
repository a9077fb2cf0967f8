"""A sound recipe, to be made wrong or changed by the tests."""

GOOD = """\
base_url = "https://lot.example"
name = "lot"
start_url = "/inventory"
delay = 0.5

[login]
url = "/login"
steps = [
    { fill = "#user", secret = "LOT_USER" },
    { fill = "#password", secret = "LOT_PASSWORD" },
]
submit = "button[type=submit]"
logged_in = "#log-out"
refused = ".error"

[references.export]
page = "/inventory"
click = "#export"
column = "Stock No"
delimiter = ";"
encoding = "cp1252"

[vehicle]
url = "/vehicle/{ref}"
loaded = "h1:has-text('{ref}')"
missing = "text=No such vehicle"
steps = [{ click = "#documents-tab" }]

[documents]
links = "a.document"
buttons = "button.document"
fewest = 1
most = 5
types = ["pdf"]
name = "{number}-{filename}"
"""
"""Lines are counted by the tests: base_url stands on line 1."""

HEAD = """\
base_url = "%URL%"
start_url = "/inventory"
patience = 2
"""

LOGIN = """
[login]
url = "/login"
steps = [{ fill = "#user", secret = "YARD_USER" }, { fill = "#password", secret = "YARD_PASSWORD" }]
submit = "#send"
logged_in = "#log-out"
refused = ".error"
"""

VEHICLE = """
[vehicle]
url = "/vehicle/{ref}"
loaded = "h1"
"""

DOCUMENTS = """
[documents]
links = ".document"
"""


def yard(*parts: str) -> str:
    """Return a recipe for the yard: the login, then what is given; what is not given is as the others need it."""
    text = HEAD + LOGIN + "".join(f"\n{part}\n" for part in parts)
    for table, default in (("vehicle", VEHICLE), ("documents", DOCUMENTS)):
        if f"[{table}" not in text and "process" not in text:
            text += default
    return text
