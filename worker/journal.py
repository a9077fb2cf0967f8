"""The worker's log: one file a slot, rotated, each line with worker, reference and attempt, secrets masked."""

import json
import os
from datetime import UTC
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from worker.masking import Mask
from worker.protocol import Adopt
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from loguru import Record


class Journal:
    """What the lines are about at the moment, and how they are written."""

    def __init__(self, settings: WorkerSettings, mask: Mask) -> None:
        self._settings = settings
        self._mask = mask
        self.ref = ""
        self.attempt = 0

    def open(self) -> None:
        """Send every line of loguru's logger to the worker's file, and nowhere else."""
        settings = self._settings
        logger.remove()
        logger.configure(patcher=self._patch)
        logger.add(
            settings.log_file,
            format=_json_line if settings.log_json else _text_line,
            level="DEBUG",
            rotation=settings.log_rotation,
            retention=settings.log_retention,
            backtrace=False,
            diagnose=False,  # it would print the values of variables, passwords among them
            catch=True,
            errors="backslashreplace",  # the name of a file, or what a page says, may be no text
        )

    def move(self, place: Adopt) -> None:
        """Go on in the file of the slot in whose place a spare steps."""
        logger.info("takes the place of worker {}", place.slot)
        self._settings = msgspec.structs.replace(
            self._settings, slot=place.slot, incarnation=place.incarnation, log_file=place.log_file
        )
        self.open()
        logger.info("worker {} was a spare, incarnation {}, pid {}", place.slot, place.incarnation, os.getpid())

    def close(self) -> None:
        """Flush the file and let go of it."""
        logger.complete()
        logger.remove()

    def _patch(self, record: "Record") -> None:
        record["message"] = self._mask(record["message"])
        slot, incarnation = self._settings.slot, self._settings.incarnation
        record["extra"].update(worker=slot, incarnation=incarnation, ref=self.ref, attempt=self.attempt)
        if (caught := record["exception"]) is not None:
            record["exception"] = None  # as text it can be masked
            text = _traceback(caught.value)
            record["message"] += "\n" + self._mask(text)


def _traceback(error: BaseException | None) -> str:
    import traceback  # noqa: PLC0415 - only a failing line needs it

    return "".join(traceback.format_exception(error)).rstrip() if error is not None else ""


def _stamp(record: "Record") -> str:
    moment = record["time"].astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _text_line(record: "Record") -> str:
    extra = record["extra"]
    about = f"worker={extra['worker']}"
    if extra["attempt"]:
        about += f" ref={_one_word(extra['ref'])} attempt={extra['attempt']}"
    message = record["message"].replace("\n", "\n    ")
    extra["line"] = f"{_stamp(record)} {record['level'].name} {about} {message}"
    return "{extra[line]}\n"


def _json_line(record: "Record") -> str:
    extra = record["extra"]
    fields = {"time": _stamp(record), "level": record["level"].name}
    fields |= {key: extra[key] for key in ("worker", "incarnation", "ref", "attempt")}
    extra["line"] = json.dumps(fields | {"message": record["message"]}, ensure_ascii=False)
    return "{extra[line]}\n"


def _one_word(ref: str) -> str:
    plain = ref.isprintable() and " " not in ref and not ref.startswith('"')
    return ref if plain else json.dumps(ref)
