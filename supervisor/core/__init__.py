"""The core decides and does nothing: events in, commands out, time as a value. See `machine.Machine`.

    events, commands, records    the words: what happened, what is to be done, what is to be written down
    state        what is known of a run: policy, backlog, queue, fleet (its slots), attempts, sessions (each a session)
    machine      takes an event to whom it concerns; dispatch then says what is next, after every event
    outcomes     what becomes of a reference, by the table in failures; errands: logins, exports, controls
    watchdog     deadlines, deaths and kills; gaps in which nothing went on; patience, how long a step may take
    breaker      a site's trouble, told from a reference's by controls and likeness; thefts of sessions
    pace         how fast the fleet may go; sizing, how many workers, with scaling and shedding

A decision follows from the state and one event alone: nothing here waits, reads a clock or throws dice.
"""
