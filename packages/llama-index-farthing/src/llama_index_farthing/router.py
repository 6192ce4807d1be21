"""An LLM that sends each call to the cheapest of several LLMs that is good enough."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools.types import BaseTool
from pydantic import ConfigDict, Field, PrivateAttr, SkipValidation

from farthing.errors import RoutingError
from farthing.run.order import Mode
from farthing.run.routing import dispatcher
from llama_index_farthing.router_asked import chat, complete, structured, with_tools
from llama_index_farthing.router_requests import ROUTE, RUN
from llama_index_farthing.router_routes import routes_of, shared_metadata
from llama_index_farthing.router_serving import Service
from llama_index_farthing.switch import Recorder

Tools = Sequence[BaseTool]
Told = str | ChatMessage | None


class RouterLLM(FunctionCallingLLM):
    """Sends each call to the cheapest of several LLMs that is good enough.

    It is used like any LLM: chats and completions, tools, structured output, streams, agents,
    query engines. A call is one call of the LLM that serves, with its events, under its model's
    name; its entry in the ledger says what was decided and why.
    `response.additional_kwargs['farthing_route']` names the route.

    By default (`mode='shadow'`) the default route serves, and a sample of calls is answered by the
    decided route as well, behind the scenes. Where the grader finds those answers no worse, by
    proof, the decided route serves that task from then on. The task is that of
    `farthing.attributed(...)` or `instrument_tags({'task': ...})`; tenant and session likewise.

    A route is forced by `instrument_tags({'farthing_route': 'heavy'})`, or by `model=` with the
    name of a route or its model. A stream calls its route at once, and falls back until its first
    piece has come; a cascade holds a streamed draft back until it is accepted. Retries, time
    limits, caches and prompts that are set on an LLM are the routes' own. It records its calls in
    its ledger by itself, installed or not.

    Attributes:
        routes: The LLMs by name, weakest first.
        policy: One policy or several, in the order in which they are asked.
        default: The route where no policy has an opinion or one fails.
        mode: `shadow`, or `active`, where the decided route serves whether proven or not.
        fallback: Whether, or to which routes in order, a call goes whose route fails: `True` is
            the default route, then stronger ones.
        ask_within_s: How long a policy's question to a model may take, in seconds.
        grader: Grades an answer: a function of `farthing.run.grading.Graded`.
        shadow_share: Which share of the calls a second route answers as well.
        shadow_budget_usd: The most that these calls and their grading may cost in USD.
        bar: What a route must clear to be promoted; a `farthing.routing.evidence.Bar`.
        facts: What is known better of a route: fields of `farthing.routing.Route` by name, such as
            `{'light': {'not_tenants': {'acme'}}}`.
        ledger: As for `install`.

    Raises:
        InputError: An argument cannot be taken.
        RoutingError: The default is no route.
        LedgerError: The ledger cannot be opened.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra='forbid')

    routes: dict[str, SkipValidation[LLM]] = Field(exclude=True, repr=False)
    policy: Any = Field(default=(), exclude=True)
    default: str
    mode: Mode = 'shadow'
    fallback: bool | list[str] = True
    ask_within_s: float = 5.0
    grader: Any = Field(default=None, exclude=True)
    shadow_share: float = 0.05
    shadow_budget_usd: Decimal = Decimal(5)
    bar: Any = Field(default=None, exclude=True)
    facts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ledger: Any = Field(default=None, exclude=True)

    _service: Service = PrivateAttr()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Not in a validator: there Pydantic would wrap our errors, with all that was given.
        driver = dispatcher(
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
        self._service = Service(self.routes, driver, Recorder(self.ledger))

    @classmethod
    def class_name(cls) -> str:
        """The LLM's name in LlamaIndex."""
        return 'farthing_router'

    @property
    def metadata(self) -> LLMMetadata:
        """What all routes can do, under the name of the default one."""
        return shared_metadata(self.routes, self.default)

    def feedback(
        self,
        run: str | ChatResponse | CompletionResponse,
        score: Decimal | float | str,
        *,
        source: str = 'feedback',
    ) -> None:
        """Post how good an answer was, as an outcome in the ledger.

        Args:
            run: The answer, or the id of its run.
            score: Larger is better; graders score from 0 to 1.
            source: Who judged.

        Raises:
            InputError: The score is no number.
            RoutingError: The answer is none of a router.
        """
        run_id = run if isinstance(run, str) else run.additional_kwargs.get(RUN)
        if run_id is None:
            raise RoutingError('this answer does not tell its run: give the id of the run')
        self._service.dispatcher.feedback(run_id, score, source=source)

    def with_routes(self, change: Callable[[LLM], LLM]) -> 'RouterLLM':
        """A copy whose LLMs are changed; what it knows and decides is the same."""
        copied = self.model_copy()
        copied.routes = {name: change(one) for name, one in self.routes.items()}
        copied._service = self._service.over(copied.routes)  # noqa: SLF001 - our own class
        return copied

    def wait(self) -> None:
        """Wait until all of the sample is replayed and graded, and take in what that proves."""
        self._service.dispatcher.wait()

    def chat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:
        """The answer of the route that serves."""
        answer: ChatResponse = self._service.whole(chat(messages, options))
        return answer

    async def achat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:
        """The answer of the route that serves."""
        answer: ChatResponse = await self._service.awhole(chat(messages, options))
        return answer

    def stream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        """The answer of the route that serves, piece by piece."""
        return self._service.stream(chat(messages, options))

    async def astream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        """The answer of the route that serves, piece by piece."""
        return await self._service.astream(chat(messages, options))

    def complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponse:  # noqa: FBT001, FBT002 - LlamaIndex's signature
        """The answer of the route that serves."""
        answer: CompletionResponse = self._service.whole(
            complete(prompt, options, formatted=formatted)
        )
        return answer

    async def acomplete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **options: Any,
    ) -> CompletionResponse:
        """The answer of the route that serves."""
        answer: CompletionResponse = await self._service.awhole(
            complete(prompt, options, formatted=formatted)
        )
        return answer

    def stream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002 - as above
        """The answer of the route that serves, piece by piece."""
        return self._service.stream(complete(prompt, options, formatted=formatted))

    async def astream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002 - as above
        """The answer of the route that serves, piece by piece."""
        return await self._service.astream(complete(prompt, options, formatted=formatted))

    def chat_with_tools(  # type: ignore[override] # flags go by name
        self,
        tools: Tools,
        user_msg: Told = None,
        chat_history: list[ChatMessage] | None = None,
        **options: Any,
    ) -> ChatResponse:
        """The answer of the route that serves, with the tools that it calls."""
        answer: ChatResponse = self._service.whole(
            with_tools(tools, user_msg, chat_history, options)
        )
        return answer

    async def achat_with_tools(  # type: ignore[override] # flags go by name
        self,
        tools: Tools,
        user_msg: Told = None,
        chat_history: list[ChatMessage] | None = None,
        **options: Any,
    ) -> ChatResponse:
        """The answer of the route that serves, with the tools that it calls."""
        call = with_tools(tools, user_msg, chat_history, options)
        answer: ChatResponse = await self._service.awhole(call)
        return answer

    def stream_chat_with_tools(  # type: ignore[override] # flags go by name
        self,
        tools: Tools,
        user_msg: Told = None,
        chat_history: list[ChatMessage] | None = None,
        **options: Any,
    ) -> Any:
        """The answer of the route that serves, piece by piece, with the tools that it calls."""
        return self._service.stream(with_tools(tools, user_msg, chat_history, options))

    async def astream_chat_with_tools(  # type: ignore[override] # flags go by name
        self,
        tools: Tools,
        user_msg: Told = None,
        chat_history: list[ChatMessage] | None = None,
        **options: Any,
    ) -> Any:
        """The answer of the route that serves, piece by piece, with the tools that it calls."""
        return await self._service.astream(with_tools(tools, user_msg, chat_history, options))

    def structured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **given: Any
    ) -> Any:
        """What the route that serves predicts, in its own way."""
        return self._service.whole(structured(output_cls, prompt, llm_kwargs, given))

    async def astructured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **given: Any
    ) -> Any:
        """What the route that serves predicts, in its own way."""
        return await self._service.awhole(structured(output_cls, prompt, llm_kwargs, given))

    def stream_structured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **given: Any
    ) -> Any:
        """What the route that serves predicts, as it grows."""
        return self._service.stream(structured(output_cls, prompt, llm_kwargs, given))

    async def astream_structured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **given: Any
    ) -> Any:
        """What the route that serves predicts, as it grows."""
        return await self._service.astream(structured(output_cls, prompt, llm_kwargs, given))

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **options: Any,
    ) -> list[ToolSelection]:
        """The tools that an answer calls, as the route reads them that gave it."""
        llm: Any = self.routes[response.additional_kwargs.get(ROUTE, self.default)]
        found: list[ToolSelection] = llm.get_tool_calls_from_response(
            response, error_on_no_tool_call=error_on_no_tool_call, **options
        )
        return found

    def _prepare_chat_with_tools(self, *_: Any, **__: Any) -> dict[str, Any]:
        """LlamaIndex's hook for what an LLM is sent, which each route has for itself."""
        raise NotImplementedError('call `chat_with_tools`: each route prepares its own requests')
