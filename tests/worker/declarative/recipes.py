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
