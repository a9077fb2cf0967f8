"""The process behind ``run.py check``: each step of a recipe once, told while it happens.

__main__.py   the process: an order on standard input, one JSON object a line on standard output
messages.py   what is ordered and what is told (shared with the supervisor)
walk.py       the steps one after the other, by the very worker that a run has
visit.py      a visit, a recipe and a worker that tell what they do
calls.py      which selector matched how much: listens to Playwright's calls
nearest.py    the nearest things that a page does have; things.js collects them
selectors.py  the words of a selector, by which things are compared with it
"""
