"""The worker: one child process, one browser, one reference at a time.

    protocol.py    the wire: frozen messages, msgpack, version, size limit (shared with the supervisor)
    settings.py    what a child is told when it is started (shared with the supervisor)
    main.py        the entry of the child process: session, signals, environment, log, then the loop
    loop.py        messages in, one after the other; exits.py has the codes by which a worker says why it ended
    wire.py        whole messages on a pipe that never blocks
    work.py        one message's work: an attempt, a login, an export, and the answer to it
    tasks.py       what the recipe is asked to do for it, and what has to be true afterwards
    watched.py     the recipe under its deadline, ended early when its page crashed or hangs
    recovery.py    the ladder back to a page that works: same page, fresh page, fresh context, fresh browser
    heartbeat.py   the pulse that says the event loop turns, and the thread that watches the supervisor
    browser.py     launches and relaunches the browser; session.py keeps and restores what being logged in means
    access.py      what a recipe says about the way to its site: basic authentication, proxy, certificates
    gateway.py     that way with its secrets, as driver and browser want it; authorities.py for private ones
    observer.py    what a browser context does beside the calls: answers, failures, popups, crashes
    lookout.py     a picture of the page now and then, for the status page
    visit.py       what a recipe holds in its hand: page, steps, goto, fetch, download, save, secrets; kit.py its tools
    judging.py     what an answer means: a refusal, the login page; bringing.py gets files by address or by download
    steps.py       the steps of a visit, their durations and limits
    questions.py   what a page is asked at little cost
    traffic.py     counts the requests by host
    downloads.py   a download raced against all that means it will never come; hosts.py which hosts may be asked at all
    fetching.py    a document by its address, through the driver and to_disk.cjs, which is loaded into it
    documents.py   staging of each document: names.py what it is called, formats.py what it is, and whether it is whole
    evidence.py    what a failure leaves behind; trace.py the recording of a last attempt
    instead.py     what a page says that came in place of a document, to recognise the same with other references
    failures.py    foreign exceptions become failure kinds, in this one module
    masking.py     keeps secrets out of log, messages and evidence; vault.py has the secrets
    journal.py     the log file; deadlines.py the one way to await a browser
    site.py        the interface that a recipe implements; loading.py finds and checks one, python_files.py imports it
    checking/      the process behind `run.py check`: each step of a recipe once, told while it happens
    sketching/     the process behind `run.py new-site`: looks at a login page and says what it found
    sites/         declarative/ is the recipe in TOML: schema, reader and interpreter; demo/ a recipe and its website

A worker writes only into the staging folder of its attempt and into its temporary folder. It never imports
the supervisor, never publishes, and trusts no time-out but its own: every await has a deadline here.
"""
