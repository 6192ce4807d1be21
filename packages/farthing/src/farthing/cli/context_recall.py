"""`farthing context recall`: whether retrieval finds the turns that hold an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import click

from farthing.cli import options, show
from farthing.cli.context_traces import rows
from farthing.cli.show import Column
from farthing.context.counting import Counter
from farthing.context.memory import Memory
from farthing.context.rankers import RANKERS, ranker
from farthing.errors import InputError

_COLUMNS = (
    Column(name='retriever', title='retriever'),
    Column(name='budget_tokens', title='budget', kind='count'),
    Column(name='questions', title='questions', kind='count'),
    Column(name='mean_evidence_recall', title='mean evidence recall', kind='count'),
    Column(name='without_evidence', title='without evidence', kind='count'),
    Column(name='unknown_evidence', title='unknown evidence', kind='count'),
)


@click.command('recall')
@click.option('--turns', required=True, metavar='FILE', help='Turns, one a line; .gz too.')
@click.option('--questions', required=True, metavar='FILE', help='Questions, one a line; .gz too.')
@click.option(
    '--budget',
    type=click.IntRange(min=1),
    default=2_000,
    show_default=True,
    help='Tokens of turns that are found for a question.',
)
@click.option(
    '--retriever',
    default='bm25',
    show_default=True,
    metavar='NAMES',
    help=f'Several, as in bm25,minilm, are joined by rank: {", ".join(RANKERS)}.',
)
@click.option('--where', multiple=True, metavar='KEY=VALUE', help='Only questions with this value.')
@options.format_option
def recall(
    turns: str, questions: str, budget: int, retriever: str, where: tuple[str, ...], form: str
) -> None:
    """How much of the evidence for questions a retrieval policy finds within a budget.

    A turn is {"conv", "id", "text"} and may have a "speaker"; turns of a conversation stand in
    order. A question is {"conv", "question", "evidence": [ids of turns]}; those without evidence
    are counted and left out, evidence that is no turn counts as not found. Recall is the share of
    a question's evidence that is found; the mean is over questions.

    \b
    Examples:
      farthing context recall --turns turns.jsonl.gz --questions qa.jsonl.gz --budget 2000
      farthing context recall --turns turns.jsonl --questions qa.jsonl --retriever bm25,minilm
    """  # noqa: D301 - click keeps lines after the character \b, which a raw text has not
    said = measured(turns, questions, budget=budget, retriever=retriever, where=where)
    if form == 'json':
        show.as_json(said)
    elif form == 'csv':
        show.as_csv(_COLUMNS, [said])
    else:
        show.as_table(_COLUMNS, [said], notes=[f'Tokens are {said["tokens"]}.'])


def measured(
    turns: str, questions: str, *, budget: int, retriever: str, where: Sequence[str] = ()
) -> dict[str, Any]:
    """What the command prints, as JSON has it.

    Raises:
        InputError: A file cannot be read, or there is nothing to find.
    """
    counter = Counter('openai', 'gpt-4o')  # its tokens, whatever model will read the turns
    names = [name.strip() for name in retriever.split(',') if name.strip()]
    talks = _talks(turns, names, counter)
    wanted = options.conditions(tuple(where))
    shares, idle, unknown = [], 0, 0
    for row in rows(questions, 'conv', 'question', 'evidence'):
        if not _meets(row, wanted):
            continue
        if row['conv'] not in talks:
            raise InputError(f'{turns!r} has no conversation {row["conv"]!r} to ask about')
        talk, evidence = talks[row['conv']], {*row['evidence']}
        if not evidence:
            idle += 1
            continue
        unknown += len(evidence - {*talk.ids})
        places = talk.memory.find(row['question'], range(len(talk.ids)), budget)
        shares.append(Fraction(len(evidence & {talk.ids[at] for at in places}), len(evidence)))
    if not shares:
        raise InputError(f'{questions!r} has no such question with evidence: nothing can be found')
    return {
        'retriever': ','.join(names),
        'budget_tokens': budget,
        'questions': len(shares),
        'mean_evidence_recall': round(float(sum(shares) / len(shares)), 4),
        'without_evidence': idle,
        'unknown_evidence': unknown,
        'tokens': f'estimated: {counter.method}',
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    """A conversation: ids of its turns in order, and their texts."""

    ids: list[str] = field(default_factory=list)
    memory: Memory


def _talks(path: str, names: Sequence[str], counter: Counter) -> dict[str, _Talk]:
    talks: dict[str, _Talk] = {}
    for row in rows(path, 'conv', 'id', 'text'):
        if row['conv'] not in talks:
            talks[row['conv']] = _Talk(memory=Memory([ranker(name) for name in names]))
        talk, speaker = talks[row['conv']], row.get('speaker')
        text = f'{speaker}: {row["text"]}' if speaker else row['text']
        talk.ids.append(row['id'])
        talk.memory.add(text, counter.tokens(text))
    return talks


def _meets(row: Mapping[str, Any], wanted: Mapping[str, tuple[str | None, ...]]) -> bool:
    """Whether a row has one of the values that are asked of each key."""
    return all(
        any(row.get(key) is None if value is None else str(row.get(key)) == value for value in some)
        for key, some in wanted.items()
    )
