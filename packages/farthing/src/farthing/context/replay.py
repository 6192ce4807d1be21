"""What recorded sessions would have cost under a policy: each answer is asked for again.

The cache is a provider's that keeps prefixes up to marks, as Anthropic's does. Marks stand at the
end of the tools and system text, at the end of the head, and at the end of every prompt; calls
follow each other before anything is forgotten.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

from farthing.context.planning import CLEARED_TOKENS, Policy, plan
from farthing.context.rates import Tariff
from farthing.context.summary import summarised
from farthing.context.turns import unpaired
from farthing.context.values import ANSWERS, Block, History, Setting, State, Step, View
from farthing.frozen import quick

Cacheable = Callable[[int], bool]
"""Whether the provider caches a prefix of so many tokens."""

_THEN = datetime(2000, 1, 1, tzinfo=UTC)  # one time for all calls: no cache goes cold


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A recorded session.

    Attributes:
        blocks: Its messages, oldest first; its answers are what was called for.
        tool_tokens: Tokens of the tools that every call sends.
    """

    blocks: tuple[Block, ...]
    tool_tokens: int = 0

    def calls(self) -> Iterator[int]:
        """Positions of the answers."""
        return (at for at, block in enumerate(self.blocks) if block.kind in ANSWERS)

    @property
    def system_tokens(self) -> int:
        """Tokens of the system text at its beginning."""
        return system_tokens(self.blocks)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What sessions cost under a policy.

    Attributes:
        cost: In 1e-12 USD, answers and summaries included.
        calls: How many calls were made, without those for summaries.
        history_tokens: Of all prompts together, without tools and the first system text.
        peak_history_tokens: Of the longest.
        rewrites: Calls whose prompt changed what an earlier one had sent.
        invalid_prompts: Calls that a provider would have refused.
    """

    cost: int = 0
    calls: int = 0
    history_tokens: int = 0
    peak_history_tokens: int = 0
    rewrites: int = 0
    invalid_prompts: int = 0

    def __add__(self, other: 'Run') -> 'Run':
        return Run(
            cost=self.cost + other.cost,
            calls=self.calls + other.calls,
            history_tokens=self.history_tokens + other.history_tokens,
            peak_history_tokens=max(self.peak_history_tokens, other.peak_history_tokens),
            rewrites=self.rewrites + other.rewrites,
            invalid_prompts=self.invalid_prompts + other.invalid_prompts,
        )


class Whole:
    """The policy that leaves everything as it is."""

    def step(self, history: History, state: State, setting: Setting) -> Step:  # noqa: ARG002
        """No change."""
        return Step(state=state)


def replay(
    session: Session,
    policy: Policy,
    tariff: Tariff,
    *,
    cacheable: Cacheable = bool,
    limit: int | None = None,
) -> Run:
    """What one session would have cost.

    Args:
        session: What was said; answers are taken to be the same under every policy.
        policy: Decides what each call is sent.
        tariff: Of the model.
        cacheable: Whether a prefix is long enough to be cached; nothing ever is: no caching.
        limit: The most tokens a prompt may have.

    Raises:
        ContextError: A price is missing, or a prompt cannot be kept within the limit.
    """
    calls, total = Calls(policy, tariff, cacheable=cacheable), Run()
    for at in session.calls():
        history = History(blocks=session.blocks[:at], fixed_tokens=session.tool_tokens, limit=limit)
        total += calls.make(history, output_tokens=session.blocks[at].tokens)[1]
    return total


class Calls:
    """One session's calls under a policy, made and priced one after the other.

    Attributes:
        state: As the last call left it; who sets it back asks something else of the same session.
    """

    def __init__(self, policy: Policy, tariff: Tariff, *, cacheable: Cacheable = bool) -> None:
        self.state = State()
        self._policy = policy
        self._tariff = tariff
        self._setting = Setting(rates=tariff.rates, now=_THEN)
        self._cache = PromptCache(cacheable)

    def make(self, history: History, *, output_tokens: int) -> tuple[View, Run]:
        """What the next call is sent, and what it costs with the summary that it asks for.

        Raises:
            ContextError: A price is missing, or the prompt cannot be kept within the limit.
        """
        planned = plan(self._policy, history, self.state, self._setting)
        sent = _sent(history, planned.view, self._cache)
        cost = self._tariff.cost(
            read=sent.read, written=sent.written, fresh=sent.fresh, output=output_tokens
        )
        self.state = state = planned.state
        if state.asked is not None:
            cost += state.asked.cost
            self.state = summarised(state, state.asked, digest=f'summary {len(history.blocks)}')
        length = planned.view.tokens - history.fixed_tokens - system_tokens(history.blocks)
        kept = [history.blocks[at] for at in planned.view.kept]
        return planned.view, Run(
            cost=cost,
            calls=1,
            history_tokens=length,
            peak_history_tokens=length,
            rewrites=int(planned.decision.rewrite),
            invalid_prompts=int(unpaired(kept) > 0),
        )


def system_tokens(blocks: Sequence[Block]) -> int:
    """Tokens of the system text at the beginning of a session."""
    return sum(block.tokens for block in takewhile(lambda one: one.kind == 'system', blocks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Tokens of one prompt, by what the cache made of them."""

    read: int
    written: int
    fresh: int


class PromptCache:
    """Which prefixes of a session's prompts a provider holds."""

    def __init__(self, cacheable: Cacheable) -> None:
        self._cacheable = cacheable
        self._next: dict[tuple[int, str], int] = {}  # a tree of prefixes: node and part to node
        self._held: set[int] = set()

    def send(self, parts: Sequence[tuple[str, int]], marks: AbstractSet[int]) -> Sent:
        """Take one prompt.

        Args:
            parts: Its parts in order: what they are, and their tokens.
            marks: After how many parts each mark stands.
        """
        node = tokens = read = written = 0
        marked = []
        for number, (part, size) in enumerate(parts, 1):
            node = self._next.setdefault((node, part), len(self._next) + 1)
            tokens += size
            if node in self._held:
                read = tokens
            if number in marks and self._cacheable(tokens):
                marked.append(node)
                written = tokens
        self._held.update(marked)
        written = max(written, read)
        return Sent(read=read, written=written - read, fresh=tokens - written)


def _sent(history: History, view: View, cache: PromptCache) -> Sent:
    blocks = history.blocks
    systems = next(
        (n for n, at in enumerate(view.head) if blocks[at].kind != 'system'), len(view.head)
    )
    parts = [('tools', history.fixed_tokens)]
    parts += [(blocks[at].digest, blocks[at].tokens) for at in view.head]
    marks = {1 + systems, len(parts)}
    if view.summary is not None:
        parts.append((view.summary.digest, view.summary.tokens))
    for at in view.rest:
        if at in view.cleared:
            parts.append((f'cleared {blocks[at].digest}', CLEARED_TOKENS))
        else:
            parts.append((blocks[at].digest, blocks[at].tokens))
    marks.add(len(parts))
    parts += [(blocks[at].digest, blocks[at].tokens) for at in view.retrieved]
    return cache.send(parts, marks)
