"""What makes a leg of the suites run on models that are `cached`."""

from typing import Any

import pytest
from tests.annotator import Marking

from langchain_farthing import cached


class Cached:
    """Mixed into a leg: the model that its tests get is wrapped, all else stays."""

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> Any:
        options = self.standard_chat_model_params | self.chat_model_params
        model = self.chat_model_class(**options | (getattr(request, 'param', None) or {}))
        return cached(model, annotator=Marking())
