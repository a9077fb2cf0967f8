"""The supervisor: a pure core that decides, a shell that acts, views that only read.

    cli.py       the command line; commands/ has a module for each command, completion.py what a shell completes
    night.py     a run, from its plan (plan.py) to its exit code: here, and only here, its parts are wired together
    config.py    settings: flag, environment, TOML, default; settings.py is their table; forms, fleet_size, quiet_hours
                 and finish_by read those that are more than a number; children.py has what of them a worker is told
    core/        machine.handle(event, now) -> commands, without clock, I/O, thread or randomness
    shell/       turns the world into events and carries commands out, in one loop that never blocks
    views/       what people and programs are told of a run: from a snapshot or the ledger, never from the machine
    recipes.py   which recipe is meant, and whether it loads; checking.py and sketching.py carry out `check`, `new-site`
    chromium.py  finds a browser or gets one; doctor.py, long_run.py and host.py find what the machine lacks, each thing
                 a check_result; demo_site.py is the website of `demo`, rehearsal.py the chaos of `demo --chaos`, and
                 rehearsal_verdict.py what came of it
    errors.py    sentences for people, with exit codes; control_client.py asks a run that goes on; external.py runs
                 short foreign commands; bytecode.py has them all keep what Python compiled

An event (a message, a death, a deadline) enters `core.machine`; the commands that come back are interpreted by
`shell.conductor` in one place: records go to the ledger's thread, and what depends on them (handing out an attempt,
finishing) is held back until they are durable. Slow work is done by threads, which answer with events.
"""
