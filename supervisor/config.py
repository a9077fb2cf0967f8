"""Where the value of each setting comes from.

A flag wins over the environment (``NIGHTFLEET_TASK_TIMEOUT``), that over the TOML file (``task_timeout``), that over
the default. What makes no sense is refused before anything starts, in one sentence that names the setting, its value,
where it came from and what is allowed.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from supervisor import forms
from supervisor.core.policy import Policy
from supervisor.errors import UserError
from supervisor.fleet_size import FleetSize
from supervisor.quiet_hours import ALLOWED, QuietHours
from supervisor.settings import CATALOGUE, PREFIX, Setting, Settings, shown
from supervisor.views.text import clean

__all__ = ["CATALOGUE", "Resolved", "Setting", "Settings", "SettingsError", "policy", "resolve", "shown"]

_FILE_LIMIT = 1_000_000
"""Bytes of a settings file."""
_OTHER_VARIABLES = ("NIGHTFLEET_DEMO_", "NIGHTFLEET_MARK")
"""Beginnings of variables that are ours and no settings: the demo's address and login, the mark of a worker's tree."""


class SettingsError(UserError):
    """A setting that makes no sense."""


class Resolved(msgspec.Struct, frozen=True):
    """The settings, and for each where its value came from, for people."""

    settings: Settings
    origins: dict[str, str]


class _Given(NamedTuple):
    value: Any
    origin: str
    textual: bool
    """Everything is text in a flag or a variable, so there, and only there, text may be a number."""


def resolve(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    toml_path: Path | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
    command: str = "",
) -> Resolved:
    """Put the settings together.

    Args:
        flags: setting name to the flag's text (or True for a switch); None where the flag was not given.
        environ: the environment; an empty variable counts as not set.
        toml_path: the file of ``--config``.
        defaults: defaults that `command` has in place of the ordinary ones.
        command: the command they belong to, for the messages.

    Raises:
        SettingsError: something makes no sense.
    """
    raw = {name: _Given(setting.default, "default", textual=False) for name, setting in CATALOGUE.items()}
    for name, value in (defaults or {}).items():
        raw[name] = _Given(value, f"default of {command}", textual=False)
    if toml_path is not None:
        raw |= _from_toml(toml_path)
    raw |= _from_environment(environ)
    for name, value in flags.items():
        if value is not None:
            raw[name] = _Given(value, f"flag {CATALOGUE[name].flag}", textual=True)
    values = {name: _convert(CATALOGUE[name], given) for name, given in raw.items()}
    resolved = Resolved(Settings(**values), {name: given.origin for name, given in raw.items()})
    _check_together(resolved)
    return resolved


def policy(settings: Settings) -> Policy:
    """Return the numbers by which the core decides."""
    # What the core can be told and people cannot set keeps the core's own default.
    shared = set(Policy.__struct_fields__) & set(Settings.__struct_fields__)
    fleet = settings.num_workers
    auto = (fleet.least, fleet.most) if fleet.auto else None
    return Policy(auto_workers=auto, **{name: getattr(settings, name) for name in shared})


def _from_toml(path: Path) -> dict[str, _Given]:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
        if len(content) > _FILE_LIMIT:
            raise SettingsError(f"the settings file {path} is larger than {_FILE_LIMIT} bytes; it holds no settings")
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise SettingsError(
            f"the settings file {path} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
    except RecursionError as error:
        raise SettingsError(f"the settings file {path} is not TOML: it is nested too deeply") from error
    except ValueError as error:  # of TOML, UTF-8, a date that is none, a number of more digits than Python reads
        raise SettingsError(f"the settings file {path} is not TOML: {clean(str(error))}") from error
    for key in table:
        if key not in CATALOGUE:
            raise SettingsError(f"{path} has the unknown setting {shown(key)}; {_nearest(key)}")
    return {key: _Given(value, f"{path}:{key}", textual=False) for key, value in table.items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    variables = {setting.variable: setting for setting in CATALOGUE.values()}
    found = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name.startswith(_OTHER_VARIABLES):
            continue
        if name not in variables:
            hint = _nearest(name.removeprefix(PREFIX).lower(), PREFIX)
            raise SettingsError(f"the environment variable {clean(name)} names no setting; {hint}")
        if value:
            found[variables[name].name] = _Given(value, f"environment variable {name}", textual=True)
    return found


def _nearest(name: str, prefix: str = "") -> str:
    names = list(CATALOGUE)
    # A mere part of a name ("workers") is nearer to what was meant than any spelling distance says.
    near = [known for known in names if name in known][:1] or difflib.get_close_matches(name, names, n=1)
    offer = [prefix + known.upper() if prefix else known for known in near or names]
    return f"did you mean {offer[0]}?" if near else f"allowed are {', '.join(offer)}"


def _convert(setting: Setting, given: _Given) -> Any:
    if given.origin == "default":
        return given.value  # it may lie outside what can be chosen, where that stands for "off"
    meta = setting.meta
    converted: Any
    try:
        if setting.kind is bool:
            converted = _truth(given)
        elif setting.kind is FleetSize:
            converted = _fleet_size(setting, given)
        elif setting.kind is str:
            converted = _text(given)
            if converted and setting.form:
                forms.CHECKS[setting.form](converted)
        else:
            converted = _number(setting, given)
            above_low = converted > meta.gt if meta.gt is not None else converted >= meta.ge
            if not above_low or converted > meta.le:
                raise ValueError  # noqa: TRY301 - one place below words the refusal for every cause
    except ValueError:
        raise SettingsError(
            f"the setting {setting.name} is {_quoted(given)} ({given.origin}), but it must be {setting.allowed}"
        ) from None
    return converted


def _quoted(given: _Given) -> str:
    plain = given.textual and re.fullmatch(r"[\w.+-]{1,40}", given.value)
    return given.value if plain else shown(given.value)


def _truth(given: _Given) -> bool:
    value = given.value
    if isinstance(value, bool):
        return value
    if given.textual and value.lower() in {"1", "true", "yes", "on"}:
        return True
    if given.textual and value.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError


def _text(given: _Given) -> str:
    value = given.value
    if isinstance(value, str) and len(value) <= 4096 and "\0" not in value:  # noqa: PLR2004 - Linux's longest path
        return value
    raise ValueError


def _fleet_size(setting: Setting, given: _Given) -> FleetSize:
    if isinstance(given.value, str) and given.value.strip().lower().startswith("auto"):
        return FleetSize.automatic(given.value)
    return FleetSize.fixed(int(_number(setting, given)))


def _number(setting: Setting, given: _Given) -> int | float:
    value = given.value
    if given.textual and re.fullmatch(r"\s*[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?\s*", str(value)):
        value = float(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or abs(value) > 1e18 or not math.isfinite(value):  # noqa: PLR2004 - beyond any range that follows
        raise ValueError
    if setting.kind is float:
        return float(value)
    if not float(value).is_integer():
        raise ValueError
    return int(value)


def _check_together(resolved: Resolved) -> None:
    settings, origins = resolved.settings, resolved.origins

    def refuse(name: str, relation: str, other: str) -> None:
        raise SettingsError(
            f"the setting {name} is {shown(getattr(settings, name))} ({origins[name]}), but it must be {relation} "
            f"{other}, which is {shown(getattr(settings, other))} ({origins[other]})"
        )

    if settings.metrics_file and not settings.metrics_file.endswith(".prom"):
        raise SettingsError(
            f"the setting metrics_file is {shown(settings.metrics_file)} ({origins['metrics_file']}), but it must end "
            "with .prom, because node_exporter reads no other file"
        )
    if settings.stuck_threshold <= settings.task_timeout:
        refuse("stuck_threshold", "above", "task_timeout")
    if settings.retry_delay_limit < settings.retry_delay:
        refuse("retry_delay_limit", "at least", "retry_delay")
    if settings.heartbeat_timeout <= settings.heartbeat_interval:
        refuse("heartbeat_timeout", "above", "heartbeat_interval")
    if settings.breaker_pause_limit < settings.breaker_pause:
        refuse("breaker_pause_limit", "at least", "breaker_pause")
    if settings.throttle_pause_limit < settings.throttle_pause:
        refuse("throttle_pause_limit", "at least", "throttle_pause")
    try:
        QuietHours(settings.quiet_hours)
    except ValueError:
        raise SettingsError(
            f"the setting quiet_hours is {shown(settings.quiet_hours)} ({origins['quiet_hours']}), but it must be"
            f" {ALLOWED}"
        ) from None
