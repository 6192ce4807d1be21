"""`farthing context recall`: whether retrieval finds the turns that hold an answer."""

from collections.abc import Iterable, Mapping, Sequence
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
    Column(name='mean_evidence_recall', title='mean evidence recall'),
    Column(name='without_evidence', title='without evidence', kind='count'),
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
    r"""How much of the evidence for questions a retrieval policy finds within a budget.

    A turn is {"conv", "id", "text"} and may have a "speaker"; turns of a conversation stand in
    order. A question is {"conv", "question", "evidence": [ids of turns]}; those without evidence
    are counted and left out. Recall is the share of a question's evidence that is found; the mean
    is over questions.

    \b
    Examples:
      farthing context recall --turns turns.jsonl.gz --questions qa.jsonl.gz --budget 2000
      farthing context recall --turns turns.jsonl --questions qa.jsonl \
          --retriever bm25,minilm --where category=1 --format json
    """
    names = [name.strip() for name in retriever.split(',') if name.strip()]
    talks, counter = _talks(turns), Counter('openai', 'gpt-4o')
    memories: dict[str, Memory] = {}
    asked = [row for row in rows(questions, 'conv', 'question', 'evidence') if _meets(row, where)]
    shares, idle = [], 0
    for row in asked:
        ids = talks.get(row['conv'])
        if ids is None:
            raise InputError(
                f'a question is about conversation {row["conv"]!r}, which has no turns'
            )
        if not row['evidence']:
            idle += 1
            continue
        if row['conv'] not in memories:
            memories[row['conv']] = _memory(ids.values(), names, counter)
        shares.append(_share(memories[row['conv']], [*ids], row, budget))
    if not shares:
        raise InputError(f'{questions!r} has no question with evidence: there is nothing to find')
    said = {
        'retriever': ','.join(names),
        'budget_tokens': budget,
        'questions': len(shares),
        'mean_evidence_recall': round(float(sum(shares) / len(shares)), 4),
        'without_evidence': idle,
    }
    if form == 'json':
        show.as_json(said)
    elif form == 'csv':
        show.as_csv(_COLUMNS, [said])
    else:
        show.as_table(_COLUMNS, [said])


def _talks(path: str) -> dict[str, dict[str, str]]:
    """The texts of each conversation by their ids, in order."""
    talks: dict[str, dict[str, str]] = {}
    for row in rows(path, 'conv', 'id', 'text'):
        speaker = row.get('speaker')
        text = f'{speaker}: {row["text"]}' if speaker else row['text']
        talks.setdefault(row['conv'], {})[row['id']] = text
    return talks


def _meets(row: Mapping[str, Any], where: Sequence[str]) -> bool:
    """Whether a row has one of the values that are asked of each key."""
    wanted = options.conditions(tuple(where))
    return all(
        any(str(row.get(key)) == value if value else row.get(key) is None for value in values)
        for key, values in wanted.items()
    )


def _memory(texts: Iterable[str], names: Sequence[str], counter: Counter) -> Memory:
    memory = Memory([ranker(name) for name in names])
    for text in texts:
        memory.add(text, counter.tokens(text))
    return memory


def _share(memory: Memory, ids: Sequence[str], row: Mapping[str, Any], budget: int) -> Fraction:
    """How much of a question's evidence is found."""
    evidence = {*row['evidence']}
    if missing := evidence - {*ids}:
        raise InputError(f'evidence {sorted(missing)} is no turn of conversation {row["conv"]!r}')
    found = {ids[at] for at in memory.find(row['question'], range(len(ids)), budget)}
    return Fraction(len(evidence & found), len(evidence))
