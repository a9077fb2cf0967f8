"""The demo: a small inventory website that can misbehave on request, and the recipe that works through it.

    recipe.py     the recipe, written as a user would write one; imports nothing of the website
    __main__.py   the website as a process of its own: ``python -m worker.sites.demo --port 0``
    website.py    its routes; sessions.py, control.py and journal.py are what they share
    vehicles.py   the inventory: seeded, the same in every process
    papers.py     the vehicles' PDFs, made from forms.py; pictures.py has their photos and scans
    faults.py     which vehicle misbehaves how, and how often
    pages.py      the HTML; static/ has the style sheet and the script

The website knows the truth about itself (``/truth.json``, or ``--truth`` without a server): every reference with the
size and SHA-256 of its documents. So whatever a run brought home can be compared with it, byte by byte.
"""
