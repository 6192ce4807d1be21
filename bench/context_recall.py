"""What a prompt still holds of what is needed, against peers and at no more dollars than theirs.

Agents need what they pass to tools: the arguments of their calls that stood in the history. People
are asked about a long chat once it is over. Each peer is set beside the setting of ours that holds
most of it and costs no more, caching and summaries included. What a summary tells of it is not
measured, for no model is called: nobody is credited with it, and ours makes none here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench import context_peers
from bench.context_peers import PEERS
from bench.context_sessions import SHARED, Need, Recorded, agents, chats, count, found, tariff
from bench.timing import Check, Table

from farthing.context import Chain, Select, Window
from farthing.context.memory import Memory
from farthing.context.planning import Policy
from farthing.context.replay import Calls, Run, Whole
from farthing.context.values import ANSWERS, Block, History, View

USD = 10**12


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
    tasks, talks = agents(), list(chats())
    if quick:
        tasks, talks = tasks[:2], talks[:1]
    windows = {f'Window({n})': Window(keep_turns=n) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)}
    found_again = {
        f'Window({keep}), Select({budget})': Chain(
            policies=(Window(keep_turns=keep), Select(budget=budget))
        )
        for keep in (1, 4, 16)
        for budget in (100, 200, 400, 800, 1_600, 3_200)
    }
    # A chat has no results of tools to clear.
    in_chats = [name for name in PEERS if not name.startswith('ClearToolUses')]
    return [
        compared(
            f'{len(tasks)} sessions of agents: recall of what their calls to tools name',
            tasks,
            PEERS,
            windows | {'all': Whole()},
        ),
        compared(
            f'{len(talks)} long chats of people: recall of what questions in the end are about',
            talks,
            in_chats,
            found_again | {'all': Whole()},
        ),
    ]


def compared(
    title: str, talks: Sequence[Recorded], peers: Iterable[str], policies: Mapping[str, Policy]
) -> Table:
    """Each peer beside what we hold for no more dollars."""
    settings = {
        name: _all(talks, lambda one, how=how: ours(one, how)) for name, how in policies.items()
    }
    rows, gaps, invalid = [], [], 0
    for name in peers:
        peer = _all(talks, lambda one, name=name: theirs(one, name))
        within = [one for one in settings.items() if one[1].run.cost <= peer.run.cost]
        setting, best = max(within, key=lambda one: one[1].recall)
        rows.append((name, *_cells(peer, len(talks)), setting, *_cells(best, len(talks))))
        gaps.append(best.recall - peer.recall)
        invalid += best.run.invalid_prompts
    columns = ('USD', 'history', 'recall', 'invalid')
    return Table(
        title=title,
        columns=('peer', *columns, 'ours for no more USD', *columns),
        rows=rows,
        checks=(
            Check(what='least gain', value=min(gaps), bound=0.01, unit='recall', least=True),
            Check(what='invalid prompts of ours', value=invalid, bound=0, unit='prompts'),
        ),
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
            shares.append(found(need, {one.digest for one in sent}))

    for call in calls:
        total += call.run
        note(call.sent, talk.needs.get(call.at, ()))
    if talk.questions:
        spent = peer.spent
        sent = calls.view(len(talk.messages))
        total += Run(cost=peer.spent - spent)
        for question in talk.questions:
            total += calls.price([*sent, question.block], question.output_tokens)
            note(sent, question.need)
    return Held(run=total, shares=tuple(shares))


def _all(talks: Sequence[Recorded], held: Callable[[Recorded], Held]) -> Held:
    each = [held(one) for one in talks]
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
