"""The worker: one child process, one browser, one reference at a time.

    protocol.py    the wire: frozen messages, msgpack, version, size limit (shared with the supervisor)
    settings.py    what a child is told when it is started (shared with the supervisor)
    main.py        the entry of the child process: session, signals, log, then the loop
    loop.py        messages in, work done under a deadline, answers out; the ladder of recoveries
    heartbeat.py   the pulse that says the event loop turns, and the thread that watches the supervisor
    browser.py     launches and relaunches the browser, keeps and restores the session
    visit.py       what a recipe holds in its hand: page, steps, goto, fetch, download, secrets
    documents.py   staging and verification of each document
    failures.py    foreign exceptions become failure kinds, in this one module
    site.py        the interface that a recipe implements
    sites/         recipes that come with the program; demo/ is a recipe and its website

A worker writes only into the staging folder of its attempt and into its temporary folder. It never imports
the supervisor, never publishes, and trusts no time-out but its own: every await has a deadline here.
"""
