"""What a test of the router's driver needs: models of a provider as routes, without a framework."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic

from farthing.attribution import Attribution, current_over
from farthing.io.tap import tap
from farthing.meter import Run, ended, opened
from farthing.meter.shared import account
from farthing.prices import PriceBook
from farthing.routing import Draft, Question, Route, Router
from farthing.run.calls import Request

MODELS = {'light': 'claude-haiku-4-5', 'standard': 'claude-sonnet-4-6', 'heavy': 'claude-opus-4-7'}
_numbers = itertools.count(1)


def router(*policies: Any, **models: str) -> Router:
    """The three routes; `models` replace those of MODELS."""
    routes = {
        name: Route(name=name, provider='anthropic', model=model)
        for name, model in (MODELS | models).items()
    }
    return Router(routes=routes, policies=policies, default='standard', book=PriceBook.load())


def request(text: str = 'Where is my parcel?', **facts: Any) -> Request:
    return Request(text=text, chars=len(text), **facts)


@dataclass
class Models:
    """A framework in short: it opens a run, sends a request, and ends the run."""

    client: anthropic.Anthropic
    ledger: Any
    text: str = 'Where is my parcel?'
    answers: Callable[[Question], str] = lambda question: 'light'
    names: dict[str, str] = field(default_factory=lambda: dict(MODELS))
    called: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    asked: int = 0

    def serve(self, route: str) -> Any:
        self.called.append(route)
        return self.send(self.names[route], self.text)

    def draft(self, route: str) -> Draft:
        answer = self.serve(route)
        return Draft(text=answer.content[0].text, answer=answer)

    def replay(self, route: str) -> Draft:
        return self.draft(route)

    def answer(self, question: Question) -> str:
        self.asked += 1
        self.send('claude-haiku-4-5', question.prompt)
        return self.answers(question)

    def judge(self, question: Question) -> str:
        return self.answer(question)

    def send(self, model: str, text: str) -> Any:
        run = opened(
            Run(
                f'run-{next(_numbers)}',
                parent_id=None,
                who=current_over(Attribution(tenant='acme')),
                account=account(self.ledger),
                provider='anthropic',
                model=model,
                tapped=tap.sees('anthropic'),
            )
        )
        self.runs.append(run.id)
        try:
            return self.client.messages.create(
                model=model, max_tokens=60, messages=[{'role': 'user', 'content': text}]
            )
        finally:
            ended(run.key)


@dataclass
class AsyncModels:
    """The same in async code."""

    models: Models

    async def serve(self, route: str) -> Any:
        return self.models.serve(route)

    async def draft(self, route: str) -> Draft:
        return self.models.draft(route)

    def replay(self, route: str) -> Draft:
        return self.models.draft(route)

    def judge(self, question: Question) -> str:
        return self.models.answer(question)

    async def answer(self, question: Question) -> str:
        return self.models.answer(question)
