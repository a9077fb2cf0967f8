"""Finds the recipe that a SITE names and makes it: ``demo``, ``path/to/site.toml``, or ``path/to/file.py:ClassName``.

``python -m worker.loading SITE`` tries that in a process of its own and prints one JSON object:
``{"ok": true, "error": "", "name": …, "start_url": …, "login_url": …, "secrets": […], "exports": true}``, or
``"ok": false`` and the sentence that says what is wrong. A recipe is somebody's program: what it prints goes to
standard error.
"""

import contextlib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from worker.access import Access
from worker.formats import ANY, FORMATS
from worker.python_files import execute, where
from worker.site import RecipeError, Site
from worker.sites.declarative.reading import read

BUILT_IN = {"demo": ("worker.sites.demo.recipe", "Demo")}
"""Names of the recipes that come with the program."""

_LONGEST_NAME = 200
_LONGEST_URL = 8_000
_MOST = 10_000
"""Documents of one reference, as many as a recipe in TOML may name and a message can tell of."""


def load_site(spec: str) -> Site:
    """Return the recipe that `spec` names.

    Raises:
        RecipeError: there is no such file or class, it raises, or it lacks what a recipe must have.
    """
    if spec in BUILT_IN:
        module_name, class_name = BUILT_IN[spec]
        return _make(importlib.import_module(module_name), class_name, spec)
    if spec.endswith(".toml"):
        from worker.sites.declarative.site import Declarative  # noqa: PLC0415 - with Playwright, which others go without

        return Declarative(read(Path(spec).absolute()))
    path, colon, class_name = spec.rpartition(":")
    if not colon or not path.endswith(".py"):
        known = ", ".join(sorted(BUILT_IN))
        raise RecipeError(
            f"the site {spec!r} is neither a built-in one ({known}) nor path/to/site.toml nor path/to/file.py:ClassName"
        )
    return _make(execute(Path(path).absolute()), class_name, spec)


def recipe_file(site: Site) -> str:
    """Return the path of the Python source in which the recipe is written, empty when it has none."""
    if site.source_file is not None:
        return site.source_file
    try:
        return inspect.getfile(type(site))
    except (TypeError, OSError):
        return ""


def _make(module: ModuleType, class_name: str, spec: str) -> Site:
    source = module.__file__ or spec
    found = getattr(module, class_name, None)
    if found is None:
        classes = [name for name, value in vars(module).items() if _is_recipe(value)]
        offer = f"it has {', '.join(classes)}" if classes else "it has no subclass of worker.site.Site"
        raise RecipeError(f"the recipe {source} has no class {class_name!r}; {offer}")
    if not _is_recipe(found):
        raise RecipeError(f"{class_name} in the recipe {source} is not a subclass of worker.site.Site")
    if missing := sorted(found.__abstractmethods__):
        raise RecipeError(f"{class_name} in the recipe {source} lacks the methods {', '.join(missing)}")
    try:
        site: Site = found()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise RecipeError(f"the recipe {source} raised {where(error, source)} while {class_name}() was made") from error
    try:
        _check_texts(site, class_name, source)
        _check_attributes(site, class_name, source)
        _check_sessions(site, class_name, source)
    except (KeyboardInterrupt, RecipeError):
        raise
    except BaseException as error:  # an attribute may be a property, which is the recipe's own code
        what = f"while the attributes of {class_name} were read"
        raise RecipeError(f"the recipe {source} raised {where(error, source)} {what}") from error
    return site


def _is_recipe(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Site) and value is not Site


def _check_texts(site: Site, class_name: str, source: str) -> None:
    for attribute in ("name", "start_url"):
        value = getattr(site, attribute, None)
        if not isinstance(value, str) or not value:
            raise RecipeError(f"{class_name} in the recipe {source} needs {attribute}, a text that is not empty")
    for attribute, most in (("name", _LONGEST_NAME), ("start_url", _LONGEST_URL), ("login_url", _LONGEST_URL)):
        value = getattr(site, attribute)
        if not isinstance(value, str):
            raise RecipeError(f"{class_name}.{attribute} in the recipe {source} must be a text")
        if len(value) > most or not value.isprintable():
            raise RecipeError(
                f"{class_name}.{attribute} in the recipe {source} is {value[:60]!r}; a text of up to {most:,}"
                " characters, none of them for the control of a terminal, is needed"
            )
    if not re.match(r"https?://[^/?#]", site.start_url):
        raise RecipeError(f"{class_name}.start_url in the recipe {source} is {site.start_url!r}; http(s)://… is needed")


def _check_attributes(site: Site, class_name: str, source: str) -> None:
    for method in ("log_in", "is_logged_in", "export_inventory", "process", "request_headers"):
        # What a decorator made may return something to be awaited all the same.
        if inspect.isfunction(found := getattr(type(site), method)) and not _may_be_awaited(found):
            raise RecipeError(f"{class_name}.{method} in the recipe {source} is no async def, and one is needed")
    for attribute in ("images", "exports"):
        if type(value := getattr(site, attribute)) is not bool:
            raise RecipeError(
                f"{class_name}.{attribute} in the recipe {source} is {value!r:.60}; True or False is needed"
            )
    names: object = site.secrets  # whatever somebody wrote there
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) and name for name in names):
        raise RecipeError(f"{class_name}.secrets in the recipe {source} must be a tuple of names")
    hosts: object = site.allowed_hosts
    if not isinstance(hosts, tuple | list) or not all(isinstance(host, str) and host for host in hosts):
        raise RecipeError(f"{class_name}.allowed_hosts in the recipe {source} must be a tuple of host names")
    site.allowed_hosts = tuple(host.lower() for host in hosts)
    if type(site.fewest_documents) is not int or site.fewest_documents < 0:
        raise RecipeError(f"{class_name}.fewest_documents in the recipe {source} must be a number, 0 or more")
    if type(site.most_documents) is not int or not max(1, site.fewest_documents) <= site.most_documents <= _MOST:
        raise RecipeError(
            f"{class_name}.most_documents in the recipe {source} must be a number, 1 to {_MOST:,} and not below"
            " fewest_documents"
        )
    formats: object = site.document_formats
    known = (*FORMATS, ANY)
    if not isinstance(formats, tuple | list) or not formats or not all(name in known for name in formats):
        raise RecipeError(
            f"{class_name}.document_formats in the recipe {source} is {formats!r}; a tuple of"
            f" {', '.join(known)} is needed"
        )


def _may_be_awaited(function: Callable[..., object]) -> bool:
    return (
        inspect.iscoroutinefunction(function) or "<locals>" in function.__qualname__ or hasattr(function, "__wrapped__")
    )


def _check_sessions(site: Site, class_name: str, source: str) -> None:
    """Check how the recipe gets to its site, and take the secrets for that among its own."""
    session: object = site.session
    if session not in {"shared", "own"}:
        raise RecipeError(f"{class_name}.session in the recipe {source} is {session!r}; 'shared' or 'own' is needed")
    access: object = site.access
    if not isinstance(access, Access):
        raise RecipeError(f"{class_name}.access in the recipe {source} must be a worker.access.Access")
    site.access = access = access.beside(Path(source).parent)
    key, wrong = access.complaint()
    if wrong:
        raise RecipeError(f"{class_name}.access in the recipe {source}: {key}: {wrong}")
    site.secrets = tuple(dict.fromkeys((*site.secrets, *access.secrets)))


def main() -> int:
    """Check the recipe named on the command line and print what was found as JSON; return the exit code."""
    result: dict[str, object] = {"ok": False, "error": "", "name": "", "start_url": "", "login_url": "", "secrets": []}
    try:
        with contextlib.redirect_stdout(sys.stderr):
            site = load_site(sys.argv[1])
        result |= {"ok": True, "name": site.name, "start_url": site.start_url, "login_url": site.login_url}
        result |= {"secrets": list(site.secrets), "exports": bool(site.exports)}
        result |= {"own_logins": site.session == "own"}
    except RecipeError as error:
        result |= {"error": str(error)}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
