"""The shell turns the world into events and carries the core's commands out, in one loop that never blocks.

    loop         waits for everything; inbox, how threads and signals reach it; conductor carries commands out; upkeep
                 and snapshot are done now and then; interrupts, for commands that are no run
    workers      the workers of the slots, and one more that is kept ready for the slot whose worker dies next;
                 processes, trees, linux, reaper, evidence; helper and companions are other children; guardian,
                 guardian_main and sweep are for what outlives a supervisor
    ledger       the durable truth, with ledger_thread, ledger_reader and others of that name
    run_directory  the files: folders, files, store, publisher, manifest, placement, previous, evidence_limits,
                 references_file, login_memory; reconcile and verify compare them with the ledger
    control      the socket by which a run is steered: control_messages, control_outcome, selection
    journal      the log; hooks and webhook call somebody; service tells systemd
    machine_watch  what is left of the machine; space, of its disks

Slow work (publishing, killing, evidence, files) is done by threads that answer with events. Views run in processes of
their own beside the run: the clerk, and the status page where one is wanted.
"""
