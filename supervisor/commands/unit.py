"""``run.py unit``: the run as a service of the machine."""

import getpass
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from supervisor import config, recipes
from supervisor.commands import options
from supervisor.config import Settings
from supervisor.errors import Exit
from supervisor.views.text import clean

_WATCHDOG = 60
_COMMENT = 4096
"""Characters of the command line that a comment repeats: a line end in it would end the comment."""
_END = 240
"""Seconds for the last kill, the last tracking.json and the report, beyond what is in flight."""
_TASKS_OF_A_WORKER = 500
"""Threads of a worker with its driver and browser, with room to spare; the usual limit is a few thousand in all."""
_OWN_MEMORY = 1_000_000_000


@click.command(
    "unit",
    cls=options.Command,
    examples="""
    unit lot.py:Lot --run-dir /srv/night > lot.service
    unit lot.py:Lot --run-dir /srv/night --workers 8 --finish-by 06:00
    """,
)
@click.argument("site", shell_complete=options.complete_site)
@click.option("--run-dir", required=True, metavar="DIR", type=options.PATH, help="Everything goes here.")
@click.option("--refs", metavar="FILE", type=options.PATH, help="As for start.  [default: the export]")
@click.option("--column", metavar="NAME", help="As for start.")
@click.option("--user", metavar="NAME", help="Whose service it is.  [default: you]")
@options.setting_options()
def command(
    *,
    site: str,
    run_dir: Path,
    refs: Path | None,
    column: str | None,
    user: str | None,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Print a systemd unit that runs SITE into --run-dir, with the options that are given here.

    It goes on by itself after a crash or a power cut, is watched by systemd, and ends in good order when it is stopped.
    """
    resolved = options.resolve(values, config_file)
    spec = recipes.absolute(site)
    recipe = recipes.load(spec, options.ROOT, os.environ)
    words = [sys.executable, str(options.ROOT / "run.py"), "start", spec, "--run-dir", str(run_dir.absolute())]
    words += ["--refs", str(refs.absolute())] if refs else []
    words += ["--column", column] if column else []
    words += ["--config", str(config_file.absolute())] if config_file else []
    words += [*_given(resolved), "--show", "quiet"]
    private = [*recipe.secrets, *(config.CATALOGUE[name].variable for name in _kept_private(resolved))]
    click.echo(_text(recipe.name, private, words, user or getpass.getuser(), resolved.settings), nl=False)


def _kept_private(resolved: config.Resolved) -> list[str]:
    """Return the hooks that stand in the environment: a webhook's address may hold a token, and `ps` shows options."""
    return [
        name
        for name, setting in config.CATALOGUE.items()
        if setting.form == "callee" and resolved.origins[name].startswith("environment")
    ]


def _given(resolved: config.Resolved) -> list[str]:
    """Return options for what was given as one or stands in the environment, which the service does not inherit."""
    words: list[str] = []
    for name, setting in config.CATALOGUE.items():
        value = getattr(resolved.settings, name)
        if not resolved.origins[name].startswith(("flag", "environment")) or name in _kept_private(resolved):
            continue
        if isinstance(value, bool):
            words.append(setting.flag if value else f"--no-{setting.flag[2:]}")
        else:
            words += [setting.flag, value if isinstance(value, str) else config.shown(value)]
    return words


def _text(site_name: str, private: list[str], words: list[str], user: str, settings: Settings) -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", site_name.lower()).strip("-") or "site"
    workers = settings.num_workers.most
    stop = settings.stuck_threshold + settings.shutdown_timeout + _END
    memory = workers * settings.memory_limit * 3 // 2 + _OWN_MEMORY
    secrets = ""
    if private:
        lines = ", ".join(f"{variable}=..." for variable in private)
        secrets = f"""
# One a line: {lines}. For root's eyes only (chmod 600).
EnvironmentFile=/etc/nightfleet/{name}.env"""
    return f"""\
# Made by: run.py {clean(shlex.join(["unit", *words[3:-2]]), _COMMENT)}
# Goes to /etc/systemd/system/nightfleet-{name}.service; then: systemctl daemon-reload
# and: systemctl start nightfleet-{name} (now), systemctl enable nightfleet-{name} (after every boot).
[Unit]
Description=nightfleet: {_plain(site_name)}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=1h
StartLimitBurst=10

[Service]
Type=notify
User={_plain(user)}
WorkingDirectory={_plain(str(Path.cwd()))}{secrets}
ExecStart={" ".join(map(quoted, words))}

# The first start may have to get a browser.
TimeoutStartSec=15min
# Fed by the supervisor's loop, three times in this period.
WatchdogSec={_WATCHDOG}
# A stop finishes what is in flight: --stuck-threshold, --shutdown-timeout, and the books.
TimeoutStopSec={stop:.0f}
# The supervisor is asked to stop, the workers are its own business; what is left in the end is killed.
KillMode=mixed

# After a crash, a kill, or when the machine could not do it ({Exit.MACHINE}), the same command goes on.
Restart=on-failure
RestartSec=30
# Nothing is gained by another try: done with failures, wrong usage, login refused.
RestartPreventExitStatus={Exit.SOME_FAILED} {Exit.USAGE} {Exit.LOGIN_REFUSED}
# Stopped before the end, as it was asked to.
SuccessExitStatus={Exit.STOPPED}

# A browser that runs out of memory is the supervisor's business, and no reason to end the service.
OOMPolicy=continue
# One and a half times --memory-limit for each worker, and the supervisor's own.
MemoryMax={memory}
TasksMax={max(4096, workers * _TASKS_OF_A_WORKER)}
LimitNOFILE=65536
LimitCORE=0
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""


def quoted(word: str) -> str:
    """Return one word of a command line as systemd.service(5) wants it: quoted, without variables and specifiers."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    text = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    return text if re.fullmatch(r"[\w./:=+,@%$-]+", text) else f'"{text}"'


def _plain(text: str) -> str:
    """Return a value of the unit file: one line, without specifiers (systemd.unit(5))."""
    return " ".join(text.split()).replace("%", "%%")
