"""The views tell people and programs of a run: from a frozen snapshot or the ledger, never from the machine.

    status       status.json, with metrics; tracking, tracking.json; prometheus, the same figures for a scrape
    clerk        the process that writes them beside a run; screen, progress for a terminal
    report       the morning report: night_figures, night_pictures, comparison with an earlier night
    server       the status page, which page draws
    story        what became of a reference; logs in the order of time; transcript of a check; skeleton of a recipe
    text         says things well, as do kinds (of failures) and html

What comes from a site or a person is made harmless for the place where it is shown.
"""
