"""Context control against peers by their own code: costs, and what prompts hold of what is needed.

Agents need what they pass to tools: the arguments of their calls that stood in the history. People
are asked about a long chat once it is over. Each peer is set beside the setting of ours that holds
most of it and costs no more, caching and summaries included. What a summary tells of it is not
measured, for no model is called: nobody is credited with it, and the settings of ours make none.

Ours are chosen on the sessions that they are compared on, each peer has the few settings that are
listed. So a gain is that of a user who has tried these windows on sessions of his own. At which
length the patient ones trim is not chosen: it is the peers' budget.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench import context_peers
from bench.context_peers import BUDGET
from bench.context_sessions import JOIN, SHARED, Need, Recorded, agents, chats, count, found, tariff
from bench.context_vectors import VECTORS
from bench.timing import Check, Table

from farthing.context import Chain, Select, Window
from farthing.context.memory import Memory
from farthing.context.planning import Policy
from farthing.context.replay import Calls, Run, Whole
from farthing.context.values import ANSWERS, Block, History, View

USD = 10**12
_WINDOWS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24)
_PATIENT = (1, 2, 3, 4, 5)
_ALL = {'all': Whole()}
PEERS = context_peers.PEERS | VECTORS
_LEAST_GAIN = 0.001
_COLUMNS = ('USD', 'history', 'recall', 'invalid')


@dataclass(frozen=True, kw_only=True)
class Held:
    """What sessions cost, and what share of what was needed their prompts held.

    Attributes:
        run: The costs.
        shares: One for each call or question that needed something.
    """

    run: Run
    shares: tuple[float, ...]

    @property
    def recall(self) -> float:
        return fmean(self.shares)


def measure(*, quick: bool) -> list[Table]:
    if not SHARED.is_dir():
        print(f'No recorded sessions in {SHARED}: two tables are left out.')
        return []
    return [
        of_agents(agents()[: 2 if quick else None]),
        of_chats(list(chats())[: 1 if quick else None]),
    ]


def of_agents(talks: Sequence[Recorded]) -> Table:
    """Sessions of many tasks; `window auto` keeps 6 turns."""
    settings = _settings(talks, _windows(talks[0]) | _ALL)
    auto = settings['Window(6)'].run
    rows, gaps, dearer = [], [], []
    for name, peer in _peers(talks, PEERS):
        setting, best = _within(settings, peer)
        as_much = peer.run.history_tokens >= auto.history_tokens
        of_auto = peer.run.cost / auto.cost
        dearer += [of_auto] if as_much else []
        # Nobody can hold more than all.
        gaps += [best.recall - peer.recall] if peer.recall < 1 else []
        keeps = 'as much' if as_much else 'less'
        cells = _cells(peer, len(talks))
        rows.append((name, *cells, f'{of_auto:.3f}', keeps, setting, *_cells(best, len(talks))[:3]))
    return Table(
        title=f'{len(talks)} sessions of {JOIN} airline tasks: what calls to tools name (recall)',
        columns=('peer', *_COLUMNS, 'of auto', 'keeps', 'ours for the USD', *_COLUMNS[:3]),
        rows=[*_own(settings, auto, len(talks)), *rows],
        checks=(
            Check(
                what='cheapest peer that keeps as much / Window(6)',
                value=min(dearer),
                bound=1,
                least=True,
            ),
            Check(
                what='least gain at equal USD, where a peer lacks something',
                value=min(gaps),
                bound=_LEAST_GAIN,
                unit='recall',
                least=True,
            ),
            _valid(settings),
        ),
    )


def of_chats(talks: Sequence[Recorded]) -> Table:
    """Long chats; there are no results of tools to clear."""
    policies = {
        f'Window({keep}), Select({budget})': Chain(
            policies=(Window(keep_turns=keep), Select(budget=budget))
        )
        for keep in (1, 4)
        for budget in (100, 200, 400, 800, 1_600)
    }
    settings = _settings(talks, policies | _ALL)
    rows, gaps = [], []
    for name, peer in _peers(talks, [one for one in PEERS if 'ClearToolUses' not in one]):
        setting, best = _within(settings, peer)
        gaps.append(best.recall - peer.recall)
        rows.append((name, *_cells(peer, len(talks)), setting, *_cells(best, len(talks))[:3]))
    return Table(
        title=f'{len(talks)} long chats: what questions in the end are about (recall)',
        columns=('peer', *_COLUMNS, 'ours for the USD', *_COLUMNS[:3]),
        rows=rows,
        checks=(
            Check(
                what='least gain at equal USD',
                value=min(gaps),
                bound=_LEAST_GAIN,
                unit='recall',
                least=True,
            ),
            _valid(settings),
        ),
    )


def _windows(talk: Recorded) -> dict[str, Policy]:
    """Windows that trim when it pays, and such that let a history have the peers' budget first."""
    at = BUDGET + talk.session.tool_tokens + talk.session.system_tokens
    return {f'Window({n})': Window(keep_turns=n) for n in _WINDOWS} | {
        f'Window({n}) at {BUDGET:,}': Window(keep_turns=n, at_tokens=at) for n in _PATIENT
    }


def _settings(talks: Sequence[Recorded], policies: Mapping[str, Policy]) -> dict[str, Held]:
    return {name: _all([ours(one, how) for one in talks]) for name, how in policies.items()}


def _peers(talks: Sequence[Recorded], names: Iterable[str]) -> Iterator[tuple[str, Held]]:
    return ((name, _all([theirs(one, name) for one in talks])) for name in names)


def _within(settings: Mapping[str, Held], peer: Held) -> tuple[str, Held]:
    """What holds most and costs no more."""
    within = [one for one in settings.items() if one[1].run.cost <= peer.run.cost]
    return max(within, key=lambda one: (one[1].recall, -one[1].run.cost))


def _own(settings: Mapping[str, Held], auto: Run, talks: int) -> list[tuple[str, ...]]:
    return [
        (f'ours: {name}', *_cells(one, talks), f'{one.run.cost / auto.cost:.3f}', *[''] * 5)
        for name, one in settings.items()
    ]


def _valid(settings: Mapping[str, Held]) -> Check:
    return Check(
        what='invalid prompts of ours',
        value=sum(one.run.invalid_prompts for one in settings.values()),
        bound=0,
        unit='prompts',
    )


def ours(talk: Recorded, policy: Policy) -> Held:
    """What a policy of ours holds, at Claude Sonnet 4.6."""
    session, memory = talk.session, Memory()
    calls, total, shares = Calls(policy, tariff('claude-sonnet-4-6')), Run(), []
    query = ''

    def ask(blocks: Sequence[Block], output_tokens: int, need: Need) -> Run:
        history = History(
            blocks=tuple(blocks),
            fixed_tokens=session.tool_tokens,
            find=lambda hidden, budget: memory.find(query, hidden, budget),
        )
        view, run = calls.make(history, output_tokens=output_tokens)
        if need:
            shares.append(found(need, _shown(view, blocks)))
        return run

    for at, block in enumerate(session.blocks):
        if block.kind in ANSWERS:
            total += ask(session.blocks[:at], block.tokens, talk.needs.get(at, ()))
        elif block.kind == 'user':
            query = talk.texts[at]
        memory.add(talk.texts[at], block.tokens)
    over = calls.state
    for question in talk.questions:
        calls.state, query = over, question.text
        total += ask((*session.blocks, question.block), question.output_tokens, question.need)
    return Held(run=total, shares=tuple(shares))


def _shown(view: View, blocks: Sequence[Block]) -> frozenset[str]:
    places = (*view.kept, *view.retrieved)
    return frozenset(blocks[at].digest for at in places if at not in view.cleared)


def theirs(talk: Recorded, name: str) -> Held:
    """What a peer holds; a question at the end stands behind what it sends of the session."""
    cheap = tariff('claude-haiku-4-5').rates
    peer = PEERS[name](count, cheap)
    calls = context_peers.Calls(peer, talk.session, talk.messages, tariff('claude-sonnet-4-6'))
    total, shares = Run(), []

    def note(sent: Sequence[Block], need: Need) -> None:
        if need:
            shares.append(found(need, {one.digest for one in sent} | peer.told))

    for call in calls:
        total += call.run
        note(call.sent, talk.needs.get(call.at, ()))
    if talk.questions:
        spent = peer.spent
        sent = calls.view(len(talk.messages))
        total += Run(cost=peer.spent - spent)
        for question in talk.questions:
            asked = peer.ask(sent, question.text, question.block)
            total += calls.price(asked, question.output_tokens)
            note(asked, question.need)
    return Held(run=total, shares=tuple(shares))


def _all(each: Sequence[Held]) -> Held:
    return Held(
        run=sum((one.run for one in each), Run()),
        shares=tuple(share for one in each for share in one.shares),
    )


def _cells(held: Held, talks: int) -> tuple[str, ...]:
    return (
        f'{held.run.cost / talks / USD:.3f}',
        f'{held.run.history_tokens / held.run.calls:,.0f}',
        f'{held.recall:.3f}',
        str(held.run.invalid_prompts),
    )
