"""Settings: precedence, and one clear sentence for each nonsense value, whatever it came from."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config import CATALOGUE, Settings, SettingsError, policy, resolve
from supervisor.core.policy import Policy
from supervisor.fleet_size import FleetSize
from supervisor.rehearsal import variables


def refusal(
    flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None, toml: Path | None = None
) -> str:
    with pytest.raises(SettingsError) as caught:
        resolve(flags or {}, environ or {}, toml)
    assert caught.value.exit_code == 2
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def toml(folder: Path, text: str) -> Path:
    path = folder / "night.toml"
    path.write_text(text)
    return path


def test_the_defaults_are_those_of_the_design() -> None:
    """Without anything given, the documented defaults hold and every origin says so."""
    resolved = resolve({}, {})
    settings = resolved.settings
    assert (settings.task_timeout, settings.stuck_threshold, settings.watchdog_interval) == (180, 300, 60)
    assert (settings.max_retries, settings.num_workers, settings.worker_delay) == (2, FleetSize(5, 5), 1)
    assert set(resolved.origins.values()) == {"default"}


def test_defaults_agree_with_the_core() -> None:
    """What the core decides by has the same default in the settings as in the core."""
    assert policy(Settings()) == Policy()


def test_a_flag_wins_over_the_environment_that_over_toml_that_over_the_default(tmp_path: Path) -> None:
    """Each layer is used where the ones before it say nothing, and each origin is named."""
    file = toml(tmp_path, "task_timeout = 30\nworker_delay = 3\nmax_retries = 7\n")
    environ = {"NIGHTFLEET_TASK_TIMEOUT": "20", "NIGHTFLEET_WORKER_DELAY": "2"}
    resolved = resolve({"task_timeout": "10", "num_workers": None}, environ, file)
    settings, origins = resolved.settings, resolved.origins
    assert (settings.task_timeout, settings.worker_delay, settings.max_retries) == (10, 2, 7)
    assert origins["task_timeout"] == "flag --task-timeout"
    assert origins["worker_delay"] == "environment variable NIGHTFLEET_WORKER_DELAY"
    assert origins["max_retries"] == f"{file}:max_retries"
    assert origins["num_workers"] == "default"


def test_a_commands_own_defaults_lie_below_everything_else() -> None:
    """A default of the demo gives way to the environment, and is named as what it is when it is refused."""
    resolved = resolve(
        {}, {"NIGHTFLEET_NUM_WORKERS": "4"}, defaults={"num_workers": 2, "worker_delay": 0.0}, command="demo"
    )
    assert (resolved.settings.num_workers, resolved.settings.worker_delay) == (FleetSize(4, 4), 0)
    with pytest.raises(SettingsError, match=r"stuck_threshold is 20 \(default of demo\)"):
        resolve({"task_timeout": "60"}, {}, defaults={"stuck_threshold": 20.0}, command="demo")


@pytest.mark.parametrize("name", [name for name, setting in CATALOGUE.items() if setting.kind in {int, float}])
@pytest.mark.parametrize(
    "value", ["", "many", "nan", "inf", "-inf", "1e400", "-1", "9" * 30, "1,5", "0x10", "1_000", "5 s", "٣"]
)
def test_every_number_refuses_nonsense_in_a_flag(name: str, value: str) -> None:
    """The sentence names the setting, the flag it came from and what is allowed."""
    sentence = refusal({name: value})
    assert f"the setting {name} is " in sentence
    assert f"(flag {CATALOGUE[name].flag})" in sentence
    assert CATALOGUE[name].allowed in sentence


@pytest.mark.parametrize("name", [name for name, setting in CATALOGUE.items() if setting.kind in {int, float}])
@pytest.mark.parametrize("value", ["true", '"180"', "[1]", "nan", "inf", "1979-05-27", "-1"])
def test_every_number_refuses_what_is_none_in_toml(name: str, value: str, tmp_path: Path) -> None:
    """In TOML a number is a number: text, truth values, lists and dates are refused, with file and key."""
    file = toml(tmp_path, f"{name} = {value}\n")
    assert f"({file}:{name})" in refusal(toml=file)


@pytest.mark.parametrize("value", ["7-9", "07:00", "00:00-24:00", "25:00-26:00"])
def test_quiet_hours_are_times_of_the_day(value: str) -> None:
    """What is none is refused, with where it came from and what is allowed."""
    sentence = refusal({"quiet_hours": value})
    assert "the setting quiet_hours is " in sentence
    assert "(flag --quiet-hours)" in sentence
    assert "such as 07:00-09:00" in sentence
    assert resolve({"quiet_hours": "07:00-09:00, 22:00-06:00"}, {}).settings.quiet_hours == "07:00-09:00, 22:00-06:00"


@pytest.mark.parametrize("name", [name for name, setting in CATALOGUE.items() if setting.kind is bool])
def test_switches_take_yes_and_no_and_refuse_the_rest(name: str, tmp_path: Path) -> None:
    """A variable may say yes, no, on, off, 1, 0, true, false; TOML only true and false."""
    variable = CATALOGUE[name].variable
    for text in ("1", "true", "Yes", "on"):
        assert getattr(resolve({}, {variable: text}).settings, name) is True
    for text in ("0", "false", "No", "off"):
        assert getattr(resolve({name: True}, {variable: text}).settings, name) is True
        assert getattr(resolve({}, {variable: text}).settings, name) is False
    assert "must be true or false" in refusal(environ={variable: "maybe"})
    assert "must be true or false" in refusal(toml=toml(tmp_path, f'{name} = "yes"\n'))
    assert "must be true or false" in refusal(toml=toml(tmp_path, f"{name} = 1\n"))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("num_workers", "0", "a whole number, at least 1 and at most 200"),
        ("num_workers", "201", "at least 1 and at most 200"),
        ("num_workers", "2.5", "a whole number"),
        ("task_timeout", "0", "a number of seconds, above 0 and at most 86400"),
        ("max_retries", "-1", "a whole number, at least 0"),
        ("memory_limit", "1000", "a whole number of bytes, at least 100000000"),
    ],
)
def test_the_range_is_told(name: str, value: str, allowed: str) -> None:
    """A value just outside is refused with the range."""
    sentence = refusal({name: value})
    assert f"the setting {name} is {value} (flag " in sentence
    assert allowed in sentence


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"task_timeout": "300"}, "stuck_threshold is 300 (default); above task_timeout, 300 (flag --task-timeout)"),
        (
            {"retry_delay": "400"},
            "retry_delay_limit is 300 (default); at least retry_delay, 400 (flag --retry-delay)",
        ),
        (
            {"heartbeat_timeout": "1"},
            "heartbeat_timeout is 1 (flag --heartbeat-timeout); above heartbeat_interval, 1 (default)",
        ),
        (
            {"breaker_pause": "301"},
            "breaker_pause_limit is 300 (default); at least breaker_pause, 301 (flag --breaker-pause)",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, str], sentence: str) -> None:
    """The sentence names both settings, both values and both origins."""
    found = refusal(flags).removeprefix("the setting ")
    assert found.replace(", but it must be ", "; ").replace(", which is ", ", ") == sentence


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("NIGHTFLEET_TASK_TIMOUT", "did you mean NIGHTFLEET_TASK_TIMEOUT?"),
        ("NIGHTFLEET_WORKERS", "did you mean NIGHTFLEET_NUM_WORKERS?"),
        ("NIGHTFLEET_QQQQQQQQ", "allowed are NIGHTFLEET_NUM_WORKERS, "),
    ],
)
def test_an_unknown_variable_of_ours_is_refused_with_the_nearest(variable: str, hint: str) -> None:
    """A typing error in a variable's name is not silently without effect."""
    sentence = refusal(environ={variable: "9"})
    assert f"the environment variable {variable} names no setting" in sentence
    assert hint in sentence


def test_other_variables_are_left_alone_and_an_empty_one_is_not_set() -> None:
    """The demo's variables are no settings, foreign ones none of our business, empty ones nothing."""
    environ = {"NIGHTFLEET_DEMO_URL": "x", "NIGHTFLEET_MARK": "x", "TASK_TIMEOUT": "x", "NIGHTFLEET_TASK_TIMEOUT": ""}
    assert resolve({}, environ).settings == Settings()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("task_timeot = 3\n", "unknown setting 'task_timeot'; did you mean task_timeout?"),
        ("workers = 3\n", "did you mean num_workers?"),
        ("[supervisor]\ntask_timeout = 3\n", "unknown setting 'supervisor'"),
        ("task_timeout = \n", "is not TOML: "),
        ("task_timeout = 3\ntask_timeout = 4\n", "is not TOML: "),
        ("\xff\xfe", "is not TOML: "),
    ],
)
def test_a_toml_file_that_is_wrong_is_refused(text: str, found: str, tmp_path: Path) -> None:
    """The sentence names the file and what is wrong in it."""
    path = tmp_path / "night.toml"
    path.write_bytes(text.encode("latin-1"))
    sentence = refusal(toml=path)
    assert str(path) in sentence
    assert found in sentence


def test_a_toml_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file and a folder are named as what they are."""
    assert "cannot be read: no such file or directory" in refusal(toml=tmp_path / "none.toml")
    assert "cannot be read: is a directory" in refusal(toml=tmp_path)


def test_a_browser_path_is_bounded_text(tmp_path: Path) -> None:
    """Numbers, NUL and endless paths are no browser."""
    assert "must be text" in refusal(toml=toml(tmp_path, "browser = 3\n"))
    assert "must be text" in refusal({"browser": "a\0b"})
    assert len(refusal({"browser": "x" * 5000})) < 300


@given(st.sampled_from(sorted(CATALOGUE)), st.text(max_size=200))
def test_any_text_is_taken_or_refused_in_one_printable_sentence(name: str, text: str) -> None:
    """No text in a flag brings anything but settings or one line."""
    said = ""
    try:
        resolve({name: text}, {})
    except SettingsError as error:
        said = str(error)
    assert said.isprintable()


def test_every_setting_has_help_that_fits_a_line() -> None:
    """One line of help each, a sentence, and a flag and a variable of its own."""
    flags = {setting.flag for setting in CATALOGUE.values()}
    assert len(flags) == len(CATALOGUE) == len(Settings.__struct_fields__)
    for setting in CATALOGUE.values():
        assert setting.help.endswith(".")
        assert len(setting.help) <= 100


@pytest.mark.parametrize(
    ("text", "least", "most"), [("7", 7, 7), ("auto", 1, 16), ("auto:2-12", 2, 12), ("AUTO:1-200", 1, 200)]
)
def test_the_number_of_workers_is_a_number_or_auto_from_every_source(
    text: str, least: int, most: int, tmp_path: Path
) -> None:
    """A flag, a variable and TOML mean the same, and what is shown can be given again."""
    quoted = text if text.isdecimal() else f'"{text}"'
    for resolved in (
        resolve({"num_workers": text}, {}),
        resolve({}, {"NIGHTFLEET_NUM_WORKERS": text}),
        resolve({}, {}, toml(tmp_path, f"num_workers = {quoted}\n")),
    ):
        fleet = resolved.settings.num_workers
        assert (fleet.least, fleet.most) == (least, most)
        assert resolve({"num_workers": str(fleet)}, {}).settings.num_workers == fleet
        assert policy(resolved.settings).auto_workers == ((least, most) if least < most else None)


@pytest.mark.parametrize(
    "text", ["auto:", "auto:0-5", "auto:5-2", "auto:4-4", "auto:2-201", "auto:2", "auto 2-3", "automatic", "many", ""]
)
def test_nonsense_about_the_number_of_workers_is_refused_with_what_is_allowed(text: str, tmp_path: Path) -> None:
    """In one sentence."""
    allowed = "must be a whole number, at least 1 and at most 200, or auto, or auto:2-12 for bounds of your own"
    assert allowed in refusal({"num_workers": text})
    assert allowed in refusal(toml=toml(tmp_path, f'num_workers = "{text}"\n'))
    assert allowed in refusal(toml=toml(tmp_path, "num_workers = true\n"))


def test_a_rehearsal_hands_its_settings_on_by_the_environment() -> None:
    """Each as it is, also what the environment says otherwise; a hook's address, which may hold a token, in no `ps`."""
    flags = {
        "task_timeout": "90.25",
        "num_workers": "auto:2-12",
        "spare_worker": "false",
        "on_finish": "https://hook.example/?token=x",
        "serve": "0",
        "max_retries": "2",
    }
    former = {"NIGHTFLEET_MAX_RETRIES": "7", "NIGHTFLEET_TRACE": "yes", "NIGHTFLEET_DEMO_URL": "http://x", "HOME": "/"}
    wanted = resolve({**flags, "trace": "no"}, former).settings
    environ = variables(wanted, former)
    assert resolve({}, environ).settings == wanted
    assert (environ["HOME"], environ["NIGHTFLEET_DEMO_URL"]) == ("/", "http://x")
