"""Tools as they are counted: each is written out once."""

import json
from collections.abc import Iterable
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool

_MOST = 1_000


class Toolbox:
    """The texts of tools, by the tool."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[Any, str]] = {}  # holds the tool, so that its id stays its own

    def texts(self, tools: Iterable[Any]) -> list[str]:
        """What each tool is sent as, about."""
        return [self._text(tool) for tool in tools]

    def _text(self, tool: Any) -> str:
        found = self._texts.get(id(tool))
        if found is None:
            written = tool if isinstance(tool, dict) else convert_to_openai_tool(tool)
            found = tool, json.dumps(written, default=str)
            if len(self._texts) >= _MOST:
                self._texts.clear()
            self._texts[id(tool)] = found
        return found[1]
