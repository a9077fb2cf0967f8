"""This program beside what a user would pick instead, on the same website with the same Chromium.

__main__.py       the command: rounds, scenarios, contestants
job.py            what a contestant is told, and how it reports
work.py           one vehicle in plain Playwright, which all but this program share
with_*.py         the contestants, each a process of its own; nightfleet is its ordinary command
recipe.py         nightfleet's recipe with the images that it otherwise leaves out, as the others do not
contest.py        runs one contestant: website, process tree, killed browsers, comparison with the truth
family.py         processor time and memory of a whole process tree, and the killing of browsers
figures.py        what is told of each contestant: table, JSON, plot
"""
