"""Log records as lines of JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from tfautolabel._visible import visible_json

_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """Formats a record as one line: time, level, logger, message, the values of `extra`, and the traceback.

    Examples:
        >>> record = logging.makeLogRecord({"msg": "version served", "levelname": "INFO", "model": "flowers"})
        >>> JsonLines().format(record).partition('"level"')[2]
        ': "INFO", "logger": null, "message": "version served", "model": "flowers"}'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without a line end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _USUAL},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return visible_json(json.dumps(line, ensure_ascii=False, default=str))
