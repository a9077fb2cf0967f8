"""The supervisor: a pure core that decides, a shell that acts, views that only read.

    cli.py       the command line; commands/ has a module for each command, completion.py what a shell completes
    night.py     a run, from its plan (plan.py) to its exit code: here, and only here, its parts are wired together
    config.py    settings: flag, environment, TOML, default; settings.py is their table; forms, fleet_size, quiet_hours
                 and finish_by read those that are more than a number; children.py has what of them a worker is told
    core/        machine.handle(event, now) -> commands, without clock, I/O, thread or randomness: events, commands and
                 records are its words; state, with queue, backlog, fleet, attempts, sessions (of each a session) and
                 policy, is what it knows; dispatch, outcomes (by failures), errands, watchdog, pace, patience, and
                 sizing, with scaling and shedding, decide; breaker, controls, likeness, gaps and thefts tell the site's
                 trouble, or an account's, from a reference's
    shell/       turns the world into events and carries commands out, in one loop: loop, inbox, conductor, upkeep,
                 snapshot. Processes: workers, processes, trees, linux, reaper, evidence, helper, companions; guardian,
                 guardian_main and sweep for what outlives a supervisor. Ledger: ledger, ledger_thread, ledger_reader
                 and others of that name. Files: run_directory, folders, files, store, publisher, manifest, placement,
                 previous, evidence_limits, references_file, login_memory; reconcile and verify compare them with the
                 ledger. People: control, the socket by which a run is steered, control_messages, control_outcome,
                 selection; interrupts; journal, hooks, webhook; service for systemd. What is left of the machine:
                 machine_watch, space
    views/       read a snapshot or the ledger, never the machine: status, metrics, prometheus, tracking; clerk, screen,
                 progress, story, logs and transcript for a terminal; server and page for --serve; report,
                 night_figures, night_pictures, comparison; skeleton, the draft of a recipe; text, kinds and html say
                 things well
    recipes.py   which recipe is meant, and whether it loads; checking.py and sketching.py carry out `check`, `new-site`
    chromium.py  finds a browser or gets one; doctor.py, long_run.py and host.py find what the machine lacks, each thing
                 a check_result; demo_site.py is the website of `demo`, rehearsal.py the chaos of `demo --chaos`, and
                 rehearsal_verdict.py what came of it
    errors.py    sentences for people, with exit codes; control_client.py asks a run that goes on; external.py runs
                 short foreign commands; bytecode.py has them all keep what Python compiled

An event (a message, a death, a deadline) enters `core.machine`; the commands that come back are interpreted by
`shell.conductor` in one place: records go to the ledger's thread, and what depends on them (handing out an attempt,
finishing) is held back until they are durable. Slow work (publishing, killing, evidence, files) is done by
threads that answer with events, so the one loop never blocks. Views run in processes of their own beside the run
(shell.companions): the clerk, and the status page where one is wanted.
One worker more than there are slots is kept ready (shell.workers), for the slot whose worker dies next.
"""
