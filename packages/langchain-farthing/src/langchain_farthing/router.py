"""A chat model that sends each call to the cheapest of several models that is good enough."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs
from pydantic import ConfigDict, Field, PrivateAttr, SkipValidation, model_validator

from farthing.errors import RoutingError
from farthing.estimate import tokens
from farthing.run.calls import Request
from farthing.run.order import Mode
from farthing.run.routing import dispatcher
from langchain_farthing.handler import LedgerCallbackHandler
from langchain_farthing.router_calls import Asked
from langchain_farthing.router_options import CHOICE, STRUCTURED, TOOLS, WITH_TOOLS, Structured
from langchain_farthing.router_requests import RUN, input_chars, request_of
from langchain_farthing.router_routes import routes_of, shared_profile
from langchain_farthing.router_structured import Reads, with_raw
from langchain_farthing.router_ways import Routed

_GIVEN = ('temperature', 'max_tokens', 'stop')
_THE_ROUTES = frozenset({'api_key', 'max_retries', 'streaming', 'timeout'})
"""What every chat model is made with, and the routes have already."""
_RUN = 'lc_run--'


class RouterChatModel(Routed):
    """Sends each call to the cheapest of several chat models that is good enough.

    It is used like any chat model: tools, structured output, streams, events, callbacks. A call has
    one run, that of the model which serves, under that model's name; its entry in the ledger says
    what was decided and why. `answer.response_metadata['farthing_route']` names the route.

    By default (`mode='shadow'`) the default route serves, and a sample of calls is answered by the
    decided route as well, behind the scenes. Where the grader finds those answers no worse, by
    proof, the decided route serves that task from then on. The task is the call's
    `metadata={'task': ...}`; tenant and session (or `thread_id`) are read there too.

    A route is forced by `config={'configurable': {'route': 'heavy'}}`, or by `model=` with the name
    of a route or its model. A streamed call falls back until its first text or tool call has come
    (of events of version 3, until the first event). A cascade holds a streamed draft back until it
    is accepted, and makes none for version 3 of the events. Caches and rate limits are those of the
    routes; so are keys, retries and time limits, which it takes for the sake of code that makes any
    chat model, and leaves alone. It records its calls in its ledger by itself.

    Attributes:
        routes: The chat models by name, weakest first.
        policy: One policy or several, in the order in which they are asked.
        default: The route where no policy has an opinion or one fails.
        mode: `shadow`, or `active`, where the decided route serves whether proven or not.
        fallback: Whether, or to which routes in order, a call goes whose route fails: `True` is
            the default route, then stronger ones.
        ask_within_s: How long a policy's question to a model may take, in seconds.
        grader: Grades an answer: `exact_match`, `json_equal`, `JudgeModel(model=...)`, or any
            function of `Graded`.
        shadow_share: Which share of the calls a second route answers as well.
        shadow_budget_usd: The most that these calls and their grading may cost in USD.
        bar: What a route must clear to be promoted; a `Bar`.
        facts: What is known better of a route: fields of `farthing.routing.Route` by name, such as
            `{'light': {'not_tenants': {'acme'}}}`.
        ledger: As for `LedgerCallbackHandler`.
        temperature: Given to each call; likewise `max_tokens` and `stop`.

    Raises:
        InputError: An argument cannot be taken.
        RoutingError: The default is no route.
        LedgerError: The ledger cannot be opened.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra='forbid')

    routes: dict[str, SkipValidation[BaseChatModel]]
    policy: Any = ()
    default: str
    mode: Mode = 'shadow'
    fallback: bool | list[str] = True
    ask_within_s: float = 5.0
    grader: Any = None
    shadow_share: float = 0.05
    shadow_budget_usd: Decimal = Decimal(5)
    bar: Any = None
    facts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ledger: Any = Field(default=None, exclude=True)
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None

    _handler: LedgerCallbackHandler = PrivateAttr()

    @model_validator(mode='before')
    @classmethod
    def _without_the_routes_own(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in _THE_ROUTES}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Not in a validator: there Pydantic would wrap our errors, with all that was given.
        self._dispatcher = dispatcher(
            routes_of(self.routes, self.facts),
            self.policy,
            self.default,
            mode=self.mode,
            fallback=self.fallback,
            ask_within_s=self.ask_within_s,
            grader=self.grader,
            shadow_share=self.shadow_share,
            shadow_budget_usd=self.shadow_budget_usd,
            bar=self.bar,
            ledger=self.ledger,
        )
        self._handler = LedgerCallbackHandler(self.ledger)

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **options: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Keeps the tools as they are; the route that serves formats them for its provider."""
        bound: dict[str, Any] = {TOOLS: list(tools)}
        if tool_choice is not None:
            bound[CHOICE] = tool_choice
        if options:
            bound[WITH_TOOLS] = options
        return self.bind(**bound)

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **options: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Asks for answers of a schema, in the way of the route that serves."""
        structured = Structured(schema, options)
        asks = self.bind(**{STRUCTURED: structured})
        reads = Reads(structured, self.routes)
        return with_raw(asks, reads) if include_raw else asks | reads

    def feedback(
        self, run: UUID | str | AIMessage, score: Decimal | float | str, *, source: str = 'feedback'
    ) -> None:
        """Post how good an answer was, as an outcome in the ledger.

        Args:
            run: The answer, its id, or the id of its run.
            score: Larger is better; graders score from 0 to 1.
            source: Who judged.

        Raises:
            InputError: The score is no number.
            RoutingError: The answer is none of a router.
        """
        if isinstance(run, AIMessage):
            named = run.response_metadata.get(RUN) or (run.id or '')
            if not (named.startswith(_RUN) or RUN in run.response_metadata):
                raise RoutingError('this answer does not tell its run: give the id of the run')
            run = named
        self._dispatcher.feedback(str(run).removeprefix(_RUN), score, source=source)

    def wait(self) -> None:
        """Wait until all of the sample is replayed and graded, and take in what that proves."""
        self._dispatcher.wait()

    def get_num_tokens(self, text: str) -> int:
        """About how many tokens a text has: an estimate for the default route."""
        return tokens(len(text), self._default_provider)

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[Any] | None = None,
        **_: Any,
    ) -> int:
        """About how many tokens messages have: an estimate for the default route."""
        return tokens(input_chars(messages, tools or ()), self._default_provider)

    @property
    def _default_provider(self) -> str:
        return self._dispatcher.router.routes[self.default].provider

    @property
    def _llm_type(self) -> str:
        return 'farthing-router'

    @property
    def _identifying_params(self) -> dict[str, Any]:
        models = {name: one.model for name, one in self._dispatcher.router.routes.items()}
        return {'routes': models, 'default': self.default, 'mode': self.mode}

    def _get_ls_params(self, stop: list[str] | None = None, **options: Any) -> Any:
        name = self._named(options.get('model')) or self.default
        return self.routes[name]._get_ls_params(stop=stop, **options)  # noqa: SLF001 - LangChain's way

    def _resolve_model_profile(self) -> ModelProfile | None:
        return shared_profile(self.routes)

    def _asked(
        self,
        given: LanguageModelInput,
        config: RunnableConfig | None,
        stop: list[str] | None,
        options: Mapping[str, Any],
    ) -> tuple[Request, Asked]:
        own: dict[str, Any] = {
            name: value for name in _GIVEN if (value := getattr(self, name)) is not None
        }
        own |= options
        if stop is not None:
            own['stop'] = stop
        forced = self._forced(own.pop('model', None))
        around: RunnableConfig = {
            'callbacks': self.callbacks,
            'tags': self.tags or [],
            'metadata': self.metadata or {},
        }
        whole = merge_configs(around, ensure_config(config))
        messages = self._convert_input(given).to_messages()
        try:
            request = request_of(messages, own, whole, forced=forced)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self._dispatcher.trouble('request', error)
            request = Request(text='', chars=0, forced=forced)
        asked = Asked(
            routes=self.routes,
            messages=messages,
            options=own,
            config=whole,
            handler=self._handler,
        )
        return request, asked

    def _forced(self, model: str | None) -> str | None:
        if model is None:
            return None
        found = self._named(model)
        if found is None:
            raise RoutingError(
                f'no route or model of a route is named {model!r}; known: {", ".join(self.routes)}'
            )
        return found

    def _named(self, model: str | None) -> str | None:
        """The route of that name, else the first with a model of that name."""
        if model is None or model in self.routes:
            return model
        routes = self._dispatcher.router.routes
        return next((name for name, route in routes.items() if route.model == model), None)
