"""The worker: one child process, one browser, one reference at a time.

    protocol     the wire: frozen messages, msgpack, version, size limit; settings, what a child is told when it is
                 started; access, the way to a site (all three shared with the supervisor)
    main         the entry of the child process; loop, messages in, one after the other; wire, whole messages on a pipe
                 that never blocks; exits, why it ended; heartbeat, the pulse; journal, the log file
    work         one message's work and the answer to it; tasks, what a recipe is asked to do for it; watched, under a
                 deadline; recovery, the ladder back to a page that works
    site         the interface that a recipe implements; loading and python_files find one; sites/ has declarative/, the
                 recipe in TOML, and demo/, a recipe and its website
    visit        what a recipe holds in its hand, and its kit; steps, their durations and limits; questions to a page;
                 judging, what an answer means; instead, what a page says that came in place of another
    bringing     gets files by address (fetching) or by a click (downloads); documents stages them, names and formats
    browser      launches it; session, what being logged in means; gateway and authorities, the way to the site; hosts
                 and traffic; observer and lookout watch; deadlines, the one way to await a browser
    failures     foreign exceptions become kinds; evidence and trace, what they leave; masking and vault, the secrets
    checking/, sketching/    the processes behind `run.py check` and `run.py new-site`

A worker writes only into the staging folder of its attempt and into its temporary folder. It never imports
the supervisor, never publishes, and trusts no time-out but its own: every await has a deadline here.
"""
