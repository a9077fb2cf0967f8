"""The supervisor: a pure core that decides, a shell that acts, views that only read.

    cli.py       the command line; commands/ has a module for each command, plan.py what a run is asked to do
    night.py     a run from its plan to its exit code: here, and only here, the parts of a run are wired together
    config.py    settings: flag, environment, TOML, default, each with where it came from; settings.py is their table
    core/        machine.py: handle(event, now) -> commands. No clock, no I/O, no thread, no randomness. outcomes, what
                 follows from an attempt's end; dispatch, what is next; watchdog; breaker, controls, gaps and likeness,
                 whether it is the site; errands, session; pace, patience, scaling, shedding
    shell/       carries the commands out and turns the world into events: loop, processes, pipes, ledger, publisher,
                 control, the socket by which a run is steered, service, what systemd is told, hooks, who is called,
                 evidence_limits, what is kept of failures, machine_watch and space, what is left of the machine,
                 login_memory, which login was refused, ledger_rows, what the ledger's values may be,
                 files, how a file is read that may be none; previous, what newer documents have replaced
    views/       read a snapshot or the ledger, never the machine: status, metrics, progress and screen, logs, story;
                 server and page, what --serve shows; prometheus; report, with night_figures, night_pictures, comparison
    completion.py    what a shell completes
    fleet_size.py    how many workers: a number, or bounds between which the core looks for the best one
    finish_by.py the time by which to be done; forms.py reads it, and whom a hook calls
    chromium.py  finds a browser or gets one; doctor.py and long_run.py say what the machine lacks
    quiet_hours.py   in which times of the day nothing is handed out
    recipes.py   which recipe is meant, and whether it loads; external.py runs short foreign commands
    children.py  what a worker is told when it is started; bytecode.py where all of them keep what Python compiled
    checking.py, sketching.py    carry out `check` and `new-site`, each with a process (shell/helper.py) and a view
                 (views/transcript.py, views/skeleton.py)
    demo_site.py, rehearsal.py   the built-in website for `demo`, and the chaos for `demo --chaos`, on which
                 rehearsal_verdict.py passes judgement

An event (a message, a death, a deadline) enters `core.machine`; the commands that come back are interpreted by
`shell.conductor` in one place: records go to the ledger's thread, and what depends on them (handing out an attempt,
finishing) is held back until they are durable. Slow work (publishing, killing, evidence, files) is done by
threads that answer with events, so the one loop never blocks. Views run in processes of their own beside the run
(shell.companions): the clerk, and the status page where one is wanted.
One worker more than there are slots is kept ready (shell.workers), for the slot whose worker dies next.
"""
