"""What makes a leg of the suites run on models that are `cached`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.annotator import Marking

from langchain_farthing import BatchRunner, batchable, cached


class Cached:
    """Mixed into a leg: the model that its tests get is wrapped, all else stays."""

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> Any:
        options = self.standard_chat_model_params | self.chat_model_params
        model = self.chat_model_class(**options | (getattr(request, 'param', None) or {}))
        return cached(model, annotator=Marking())


class Parked:
    """Mixed into a leg: each call of its model waits for a batch of one."""

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
        options = self.standard_chat_model_params | self.chat_model_params
        model = self.chat_model_class(**options | (getattr(request, 'param', None) or {}))
        runner = BatchRunner('standard', ledger=tmp_path / 'farthing.db', poll=0.01, idle=0.01)
        yield batchable(model, runner)
        runner.close()
