"""LangChain's scene of `farthing demo`: a support desk on ChatAnthropic and ChatOpenAI.

It does what a user does, no more: real models, real agents, one callback handler.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from typing import Any

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langsmith import tracing_context
from pydantic import BaseModel, Field, SecretStr

from farthing.attribution import attributed
from farthing.cli.stage import EASY, HANDBOOK, MAIL, QUESTIONS, Stage, Ticket
from farthing.routing import Rules
from langchain_farthing.caching import cached
from langchain_farthing.demo_night import at_once, overnight
from langchain_farthing.demo_session import summed, whole
from langchain_farthing.embeddings import LedgerEmbeddings
from langchain_farthing.handler import LedgerCallbackHandler
from langchain_farthing.router import RouterChatModel

_RULES = 'You work at the support desk of a shop. Be kind and brief.'


class Triage(BaseModel):
    """Where a ticket goes."""

    urgent: bool
    department: str = Field(description='orders, payments or returns')


@tool
def look_up_order(order: int) -> str:
    """Look up the status of an order by its number."""
    return f'order {order}: shipped on Monday, arrives on Thursday'


@tool
def look_up_price(order: int) -> str:
    """Look up the price of an order by its number."""
    return f'order {order}: 48.50 USD, paid'


def scene(stage: Stage) -> Iterator[str]:
    """Work on every ticket; yields what it is about to do."""
    handler = LedgerCallbackHandler(stage.ledger)
    desk = _desk(stage)
    with tracing_context(enabled=False):  # the demo sends nothing to anybody, LangSmith included
        for ticket in stage.tickets:
            name, work = next(desk[ticket.task])
            yield f'{ticket.task} for {ticket.tenant}: {name}'
            config: RunnableConfig = {
                'callbacks': [handler],
                'metadata': {'tenant': ticket.tenant, 'task': ticket.task},
            }
            work(ticket, config)


Work = Callable[[Ticket, RunnableConfig], object]


def _desk(stage: Stage) -> Mapping[str, Iterator[tuple[str, Work]]]:
    """Who does what by turns, by task and with a name for the progress bar."""
    haiku = _claude(stage, 'claude-haiku-4-5')
    sonnet = _claude(stage, 'claude-sonnet-4-6')
    marked = cached(sonnet, ledger=stage.ledger)
    opus = _claude(stage, 'claude-opus-4-7')
    router = RouterChatModel(
        routes={'light': haiku, 'heavy': opus},
        policy=Rules.of([{'route': 'light', 'keywords': EASY}]),
        default='heavy',
        mode='active',
        ledger=stage.ledger,
    )
    mini = _gpt(stage, 'gpt-5-mini')
    large = _gpt(stage, 'gpt-5', use_responses_api=True)
    tools = [look_up_order, look_up_price]
    claude_agent, gpt_agent = (
        create_agent(model, tools, system_prompt=_RULES) for model in (sonnet, large)
    )
    embeddings = LedgerEmbeddings(
        OpenAIEmbeddings(
            model='text-embedding-3-small',
            base_url=stage.openai_url,
            api_key=SecretStr(stage.api_key),
            check_embedding_ctx_length=False,  # counting tokens would fetch a vocabulary
        ),
        stage.ledger,
    )
    return {
        'triage': cycle(
            (
                ('Claude Haiku, structured output', _triage(haiku)),
                ('GPT mini, structured output', _triage(mini)),
            )
        ),
        'answer': cycle(
            (
                ('agent on Claude Sonnet', _asked(claude_agent)),
                ('agent on GPT, streamed', _watched(gpt_agent)),
            )
        ),
        'search': cycle((('embeddings', lambda ticket, _: _search(embeddings, ticket)),)),
        'summary': cycle(
            (
                ('Claude Sonnet, streamed', _streamed(sonnet)),
                ('GPT mini, streamed', _streamed(mini)),
            )
        ),
        'chat': cycle((('Claude Sonnet', _talked(sonnet)),)),
        'chat-cached': cycle((('Claude Sonnet', _talked(marked)),)),
        'session': cycle((('Claude Sonnet', whole(marked)),)),
        'session-summed': cycle(
            (('Claude Sonnet and Haiku', summed(marked, haiku, stage.ledger)),)
        ),
        'mail': cycle((('Claude Opus', _mailed(opus)),)),
        'mail-routed': cycle((('Claude Haiku or Opus', _mailed(router)),)),
        'nightly': cycle((('Claude Haiku', at_once(haiku)),)),
        'nightly-batched': cycle((('Claude Haiku', overnight(haiku, stage.ledger)),)),
    }


def _claude(stage: Stage, model: str) -> ChatAnthropic:
    return ChatAnthropic(
        model_name=model,
        base_url=stage.anthropic_url,
        api_key=SecretStr(stage.api_key),
        max_tokens_to_sample=1_024,
        timeout=30,
        stop=None,
    )


def _gpt(stage: Stage, model: str, *, use_responses_api: bool = False) -> ChatOpenAI:
    return ChatOpenAI(
        model=model,
        base_url=stage.openai_url,
        api_key=SecretStr(stage.api_key),
        use_responses_api=use_responses_api,
        stream_usage=True,  # a stream of Chat Completions carries no usage unless it is asked for
        timeout=30,
    )


def _triage(model: BaseChatModel) -> Work:
    structured = model.with_structured_output(Triage)
    return lambda ticket, config: structured.invoke(ticket.text, config)


def _streamed(model: BaseChatModel) -> Work:
    return lambda ticket, config: list(
        model.stream([('system', _RULES), ('user', ticket.text)], config)
    )


def _asked(agent: Any) -> Work:
    return lambda ticket, config: agent.invoke(_said(ticket), config)


def _watched(agent: Any) -> Work:
    return lambda ticket, config: list(agent.stream(_said(ticket), config, stream_mode='messages'))


def _talked(model: BaseChatModel) -> Work:
    def work(_: Ticket, config: RunnableConfig) -> None:
        said: list[BaseMessage] = [SystemMessage(HANDBOOK)]
        for question in QUESTIONS:
            said.append(HumanMessage(question))
            said.append(model.invoke(said, config))

    return work


def _mailed(model: BaseChatModel) -> Work:
    return lambda _, config: [
        model.invoke([('system', _RULES), ('user', letter)], config) for letter in MAIL
    ]


def _said(ticket: Ticket) -> Any:
    return {'messages': [{'role': 'user', 'content': ticket.text}]}


def _search(embeddings: LedgerEmbeddings, ticket: Ticket) -> None:
    with attributed(tenant=ticket.tenant, task=ticket.task):
        embeddings.embed_query(ticket.text)
