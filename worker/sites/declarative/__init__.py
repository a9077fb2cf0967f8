"""The declarative recipe: a website described in TOML, without a line of Python.

    schema.py      the keys that there are, with their types, limits and help: the one table
    reading.py     bytes to a checked recipe, or one sentence with file, line, key, what was found and what is expected
    checking.py    types and names against the schema; rules.py what no type can say; selectors.py, patterns.py
    toml_lines.py  on which line of the TOML text a key stands
    ways.py        the way to the site, as `worker.access` wants it
    site.py        the recipe at work: a `worker.site.Site` that drives a `worker.visit.Visit`
    pages.py       finding things on a page, and doing steps; questions.py is what a page is asked
    exports.py     references out of a file that the site exports; listings.py out of pages that list them
    offers.py      the documents of a vehicle; python_steps.py the steps that are handed to Python

`schema.json` is the schema for editors, written by ``python -m worker.sites.declarative``.
"""
