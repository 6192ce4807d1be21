"""A request as Anthropic's prompt cache sees it: a row of blocks, tools first, messages last.

A cache key is the digest of everything up to a block, marks left out. Some parameters are no
blocks but change what follows them: which of them stand before `system` and which before
`messages` follows https://platform.claude.com/docs/en/build-with-claude/prompt-caching.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from farthing_sim import tokens
from farthing_sim.anthropic_models import keeps_thinking
from farthing_sim.surface import Json, Refusal, as_list

Tier = Literal['tools', 'system', 'messages']
Ttl = Literal['5m', '1h']

_THINKING = frozenset({'thinking', 'redacted_thinking'})
_DEFAULT_EFFORT = 'high'


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block, and the prefix of the request that ends with it.

    Attributes:
        where: Its place in the request, as errors name it.
        tier: The part of the request that it belongs to.
        kind: Its `type`; empty for a tool of the caller's.
        digest: Of the block alone, with the role that says it.
        key: Digest of the whole prefix.
        tokens: Of the whole prefix.
        ttl: How long its own mark asks to keep the prefix; `None` without a mark.
        unmarkable: Why a mark on it is refused; `None` where it is taken.
    """

    where: str
    tier: Tier
    kind: str
    digest: bytes
    key: bytes
    tokens: int
    ttl: Ttl | None
    unmarkable: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A rendered request.

    Attributes:
        blocks: In the order in which the model gets them.
        marks: How long to keep the prefix that ends at a position of `blocks`, in their order.
        tokens: Of the whole input; a few follow the last block.
        parameters: Digest of what stands between the tiers, such as the choice of a tool.
    """

    blocks: tuple[Block, ...]
    marks: Mapping[int, Ttl]
    tokens: int
    parameters: bytes


def render(body: Json) -> Prompt:
    """Render a request.

    Raises:
        Refusal: A mark is malformed, stands where none may, or asks for a longer life than one
            before it.
    """
    rendering = _Rendering()
    tools = [(f'tools.{i}', tool) for i, tool in enumerate(body.get('tools') or ())]
    for where, tool in tools:
        if not _searches(tool):
            rendering.add('tools', where, tool, tokens.count_json(tool))
    rendering.parameters(_before_system(body))
    # A search is told of in the system prompt: tools stay cached when it comes or goes.
    for where, tool in tools:
        if _searches(tool):
            rendering.add('system', where, tool, tokens.count_json(tool))
    for i, block in enumerate(as_list(body.get('system'))):
        rendering.add('system', f'system.{i}', block, tokens.count_content(block))
    rendering.parameters(_before_messages(body))
    for i, message in enumerate(body['messages']):
        for j, block in _kept(body, i):
            where = f'messages.{i}.content.{j}'
            rendering.add('messages', where, block, tokens.count_content(block), message['role'])
        # Framing follows the content, so that a mark on the last block leaves a few tokens.
        rendering.tokens += tokens.MESSAGE_TOKENS
    return Prompt(
        blocks=tuple(rendering.blocks),
        marks=_marks(rendering.blocks, body.get('cache_control')),
        tokens=rendering.tokens,
        parameters=rendering.between,
    )


class _Rendering:
    """Blocks so far, and the digest and size of the prefix that they make up."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.tokens = 0
        self.between = b''
        self._key = b''
        self._executed: set[str] = set()

    def add(self, tier: Tier, where: str, block: Any, count: int, role: str = '') -> None:
        """Append a block."""
        if not isinstance(block, dict):
            raise Refusal(400, f'{where}: Input should be an object')
        if str((block.get('caller') or {}).get('type')).startswith('code_execution'):
            self._executed |= _ids(block)
        kind = str(block.get('type') or '')
        # A field that an SDK sets to null is one that it leaves out.
        said = {key: value for key, value in block.items() if value is not None}
        digest = _digest(role.encode(), tokens.written(said).encode('utf-8', 'replace'))
        self._key = _digest(self._key, digest)
        self.tokens += count
        self.blocks.append(
            Block(
                where=where,
                tier=tier,
                kind=kind,
                digest=digest,
                key=self._key,
                tokens=self.tokens,
                ttl=_ttl(block.get('cache_control'), where),
                unmarkable=_unmarkable(block, where, executed=self._executed),
            )
        )

    def parameters(self, values: list[Any]) -> None:
        """Let everything that follows depend on these values too."""
        digest = _digest(tokens.written(values).encode('utf-8', 'replace'))
        self.between = _digest(self.between, digest)
        self._key = _digest(self._key, digest)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()


def _searches(tool: Any) -> bool:
    return isinstance(tool, dict) and str(tool.get('type')).startswith('web_search')


def _before_system(body: Json) -> list[Any]:
    """Speed, citations and the form of the answer, each of which rewrites the system prompt."""
    form = (body.get('output_config') or {}).get('format') or body.get('output_format')
    return [body.get('speed'), any(map(_cites, _all_blocks(body))), form]


def _before_messages(body: Json) -> list[Any]:
    """What leaves tools and system cached; a default counts like nothing, as there."""
    choice = body.get('tool_choice')
    thinking = body.get('thinking') or {}
    effort = (body.get('output_config') or {}).get('effort')
    return [
        None if choice == {'type': 'auto'} else choice,
        any(block.get('type') == 'image' for block in _all_blocks(body)),
        thinking if thinking.get('type') in {'enabled', 'adaptive'} else None,
        None if effort == _DEFAULT_EFFORT else effort,
    ]


def _cites(block: Json) -> bool:
    cites = block.get('citations') if block.get('type') in {'document', 'search_result'} else None
    return bool(cites and cites.get('enabled'))


def _all_blocks(body: Json) -> Iterator[Json]:
    """The blocks of all messages, and those inside of tools' results."""
    for message in body['messages']:
        for block in as_list(message['content']):
            yield block
            if block.get('type') == 'tool_result':
                yield from as_list(block.get('content'))


def _kept(body: Json, number: int) -> list[tuple[int, Any]]:
    """The blocks of a message that reach the model, with their places.

    Older models do not see what they thought before the user last spoke.
    """
    message = body['messages'][number]
    blocks = list(enumerate(as_list(message['content'])))
    if message['role'] != 'assistant' or keeps_thinking(body['model']):
        return blocks
    if not any(map(_speaks, body['messages'][number + 1 :])):
        return blocks
    return [(i, block) for i, block in blocks if block.get('type') not in _THINKING]


def _speaks(message: Json) -> bool:
    """Whether a message is the user's own, and more than the results of tools."""
    return message['role'] == 'user' and any(
        block.get('type') != 'tool_result' for block in as_list(message['content'])
    )


def _ttl(mark: Any, where: str) -> Ttl | None:
    if mark is None:
        return None
    if not isinstance(mark, dict) or mark.get('type') != 'ephemeral':
        raise Refusal(400, f"{where}.cache_control: Input should be an object of type 'ephemeral'")
    match mark.get('ttl'):
        case None | '5m':
            return '5m'
        case '1h':
            return '1h'
        case other:
            raise Refusal(400, f"{where}.cache_control.ttl: Input should be '5m' or '1h': {other}")


def _unmarkable(block: Json, where: str, *, executed: set[str]) -> str | None:
    kind = block.get('type')
    if kind in _THINKING:
        return f'{where}.{kind}.cache_control: Extra inputs are not permitted'
    if kind == 'text' and not block.get('text'):
        return f'{where}.text: cache_control cannot be set for empty text blocks'
    if block.get('defer_loading'):
        return f'{where}: cache_control cannot be set on a tool that is loaded later'
    if _ids(block) & executed:
        return f'{where}: cache_control cannot be set on calls from code execution'
    return None


def _ids(block: Json) -> set[str]:
    return {block[key] for key in ('id', 'tool_use_id') if block.get(key)}


def _marks(blocks: list[Block], automatic: Any) -> dict[int, Ttl]:
    """The marks of a request; an automatic one goes to the last block that can carry it."""
    marks = {i: block.ttl for i, block in enumerate(blocks) if block.ttl}
    for i in marks:
        if (reason := blocks[i].unmarkable) is not None:
            raise Refusal(400, reason)
    ttl = _ttl(automatic, 'request')
    last = next((i for i in reversed(range(len(blocks))) if not blocks[i].unmarkable), None)
    if ttl and last is not None and marks.setdefault(last, ttl) != ttl:
        raise Refusal(
            400,
            f'Top-level cache_control has ttl={ttl!r} but the target block already has '
            f'cache_control with ttl={marks[last]!r}',
        )
    _check_order(blocks, marks)
    return marks


def _check_order(blocks: list[Block], marks: Mapping[int, Ttl]) -> None:
    shorter = False
    for i, ttl in marks.items():
        if shorter and ttl == '1h':
            raise Refusal(
                400,
                f"{blocks[i].where}.cache_control.ttl: a ttl='1h' cache_control block must not "
                "come after a ttl='5m' cache_control block. Note that blocks are processed in "
                'the following order: `tools`, `system`, `messages`.',
            )
        shorter |= ttl == '5m'
