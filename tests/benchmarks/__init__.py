"""Measurements, never timed tests: each module is a command that prints its figures and says on what machine."""
