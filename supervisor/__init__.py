"""The supervisor: a pure core that decides, a shell that acts, views that only read.

    cli.py       the command line; the only place, with night.py, where the parts are wired together
    config.py    settings: flag, environment, TOML, default, each with where it came from
    core/        machine.py: handle(event, now) -> commands. No clock, no I/O, no thread, no randomness
    shell/       carries the commands out and turns the world into events: loop, processes, pipes, ledger, publisher
    views/       status, metrics, progress, logs: read a frozen snapshot or the ledger, never the machine

An event (a message, a death, a deadline) enters `core.machine`; the commands that come back are interpreted by
`shell.conductor` in one place: records go to the ledger's thread, and what depends on them (handing out an attempt,
finishing) is held back until they are durable. Slow work (publishing, killing, evidence, files) is done by errand
threads that answer with events, so the one loop never blocks. Views run in a process of their own beside the run.
"""
