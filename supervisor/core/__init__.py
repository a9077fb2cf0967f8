"""The core decides and does nothing: events in, commands out, time as a value. See `machine.Machine`."""
