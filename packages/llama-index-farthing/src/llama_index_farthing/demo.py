"""LlamaIndex's scene of `farthing demo`: the same desk on its own LLMs and FunctionAgent.

It does what a user does, no more: `install()`, and blocks that say who it is for.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from itertools import cycle

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from farthing.attribution import attributed
from farthing.cli.stage import EASY, HANDBOOK, MAIL, QUESTIONS, Stage
from farthing.routing import Rules
from llama_index_farthing.caching import cached
from llama_index_farthing.demo_night import at_once, overnight
from llama_index_farthing.demo_session import summed, whole
from llama_index_farthing.router import RouterLLM
from llama_index_farthing.switch import install

_RULES = 'You work at the support desk of a shop. Be kind and brief.'

Work = Callable[[str], object]


def look_up_order(order: int) -> str:
    """Look up the status of an order by its number."""
    return f'order {order}: shipped on Monday, arrives on Thursday'


def look_up_price(order: int) -> str:
    """Look up the price of an order by its number."""
    return f'order {order}: 48.50 USD, paid'


def scene(stage: Stage) -> Iterator[str]:
    """Work on every ticket; yields what it is about to do."""
    installed = install(stage.ledger)
    try:
        # One event loop for all: the SDKs' clients keep connections between calls.
        with asyncio.Runner() as loop:
            desk = _desk(stage, loop)
            for ticket in stage.tickets:
                name, work = next(desk[ticket.task])
                yield f'{ticket.task} for {ticket.tenant}: {name}'
                with attributed(tenant=ticket.tenant, task=ticket.task):
                    work(ticket.text)
    finally:
        installed.uninstall()


def _desk(stage: Stage, loop: asyncio.Runner) -> Mapping[str, Iterator[tuple[str, Work]]]:
    """Who does what by turns, by task and with a name for the progress bar."""
    haiku, sonnet = (_claude(stage, name) for name in ('claude-haiku-4-5', 'claude-sonnet-4-6'))
    marked = cached(sonnet, ledger=stage.ledger)
    opus = _claude(stage, 'claude-opus-4-7')
    router = RouterLLM(
        routes={'light': haiku, 'heavy': opus},
        policy=Rules.of([{'route': 'light', 'keywords': EASY}]),
        default='heavy',
        mode='active',
        ledger=stage.ledger,
    )
    nano, mini = (_gpt(stage, name) for name in ('gpt-5-nano', 'gpt-5-mini'))
    counted = _gpt(stage, 'gpt-5-mini', counted_streams=True)
    return {
        'triage': cycle((('Claude Haiku', _chat(haiku)), ('GPT nano', nano.complete))),
        'answer': cycle(
            (
                ('FunctionAgent on Claude, streamed', _agent(sonnet, loop, streaming=True)),
                ('FunctionAgent on GPT', _agent(mini, loop, streaming=False)),
            )
        ),
        'search': cycle((('GPT nano', _chat(nano)),)),
        'summary': cycle(
            (
                ('Claude Sonnet, streamed', _streamed(sonnet)),
                ('GPT mini, streamed', _streamed(counted)),
            )
        ),
        'chat': cycle((('Claude Sonnet', _talk(sonnet)),)),
        'chat-cached': cycle((('Claude Sonnet', _talk(marked)),)),
        'session': cycle((('Claude Sonnet', whole(marked)),)),
        'session-summed': cycle(
            (('Claude Sonnet and Haiku', summed(marked, haiku, stage.ledger)),)
        ),
        'mail': cycle((('Claude Opus', _mail(opus)),)),
        'mail-routed': cycle((('Claude Haiku or Opus', _mail(router)),)),
        'nightly': cycle((('GPT mini', at_once(mini)),)),
        'nightly-batched': cycle((('GPT mini', overnight(mini, stage.ledger)),)),
    }


# The SDKs' clients keep connections open, past the end of the event loop that made them.
_HANG_UP = {'Connection': 'close'}


def _claude(stage: Stage, model: str) -> Anthropic:
    return Anthropic(
        model=model,
        base_url=stage.anthropic_url,
        api_key=stage.api_key,
        default_headers=_HANG_UP,
    )


def _gpt(stage: Stage, model: str, *, counted_streams: bool = False) -> OpenAI:
    # A stream of Chat Completions carries no usage unless it is asked to; others may not ask.
    asked = {'stream_options': {'include_usage': True}} if counted_streams else {}
    return OpenAI(
        model=model,
        api_base=stage.openai_url,
        api_key=stage.api_key,
        default_headers=_HANG_UP,
        additional_kwargs=asked,
    )


def _messages(text: str) -> list[ChatMessage]:
    return [ChatMessage(role='system', content=_RULES), ChatMessage(role='user', content=text)]


def _chat(llm: FunctionCallingLLM) -> Work:
    return lambda text: llm.chat(_messages(text))


def _streamed(llm: FunctionCallingLLM) -> Work:
    return lambda text: list(llm.stream_chat(_messages(text)))


def _talk(llm: FunctionCallingLLM) -> Work:
    def work(_: str) -> None:
        said = [ChatMessage(role='system', content=HANDBOOK)]
        for question in QUESTIONS:
            said.append(ChatMessage(role='user', content=question))
            said.append(llm.chat(said).message)

    return work


def _mail(llm: FunctionCallingLLM) -> Work:
    return lambda _: [llm.chat(_messages(letter)) for letter in MAIL]


def _agent(llm: FunctionCallingLLM, loop: asyncio.Runner, *, streaming: bool) -> Work:
    async def answer(text: str) -> object:
        agent = FunctionAgent(
            tools=[look_up_order, look_up_price], llm=llm, system_prompt=_RULES, streaming=streaming
        )
        return await agent.run(text)

    # The runner's own context is older than the block that says who this is for.
    return lambda text: loop.run(answer(text), context=copy_context())
