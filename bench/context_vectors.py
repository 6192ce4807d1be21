"""LlamaIndex's VectorMemoryBlock as a peer: what its Memory lets go is found again by embeddings.

Embeddings are wordllama's, on this machine, and cost nothing. What the block tells of a message
counts as if the message itself were there. Like every peer it is given no system text; in front of
one, what it finds would leave nothing of the cache. Of the vector stores in llama-index-core none
keeps texts, which the block asks for, so the simple one is made to.
"""

from collections.abc import Sequence
from typing import Any

from bench.context_peers import BUDGET, LlamaIndexPeer, Peer, Words
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.memory import InsertMethod, Memory, VectorMemoryBlock
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryResult
from pydantic import PrivateAttr

from farthing.context import Block
from farthing.context.embed_wordllama import embed

_FOUND = 'found '


class Vectors(LlamaIndexPeer):
    """Its Memory as it comes, but for the budget: what is found stands in a system text."""

    insert = InsertMethod.SYSTEM

    def made(self) -> Memory:
        self.store = _Store()
        return Memory.from_defaults(
            session_id='bench',
            token_limit=BUDGET,
            token_flush_size=BUDGET // 10,
            tokenizer_fn=self.tokenized,
            insert_method=self.insert,
            memory_blocks=[_Numbered(vector_store=self.store, embed_model=_Words())],
        )

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        self.put(history)
        self.blocks = blocks
        return self.placed(*self.parts(self.memory.get()))

    def ask(self, sent: list[Block], text: str, block: Block) -> list[Block]:  # noqa: ARG002
        found, own = self.parts(self.memory.get(input=text))
        return self.placed(found, [*own, block])

    def parts(self, messages: Sequence[ChatMessage]) -> tuple[list[Block], list[Block]]:
        """What the block found, and the messages of the history."""
        found, own = [], []
        for message in messages:
            number = message.additional_kwargs.get('number')
            more = message.blocks if number is None else message.blocks[:-1]
            found += [
                Block(kind='user', tokens=self.count(one.text), digest=_FOUND + one.text)
                for one in more
            ]
            own += [] if number is None else [self.blocks[number]]
        self.told = frozenset(self.blocks[n].digest for n in self.store.found if found)
        return found, own

    def placed(self, found: list[Block], own: list[Block]) -> list[Block]:
        return [*found, *own]


class VectorsByUser(Vectors):
    """What is found stands in the newest message of the user."""

    insert = InsertMethod.USER

    def placed(self, found: list[Block], own: list[Block]) -> list[Block]:
        at = max(at for at, one in enumerate(own) if one.kind == 'user')
        return [*own[:at], *found, *own[at:]]

    def steady(self, sent: list[Block]) -> int:
        return next((at for at, one in enumerate(sent) if _is_found(one)), len(sent))


def _is_found(block: Block) -> bool:
    return block.digest.startswith(_FOUND)


class _Store(SimpleVectorStore):
    """Keeps texts, and knows which messages are in them."""

    stores_text: bool = True
    _nodes: dict[str, BaseNode] = PrivateAttr(default_factory=dict)
    _numbers: dict[str, list[int]] = PrivateAttr(default_factory=dict)
    _coming: list[int] = PrivateAttr(default_factory=list)
    _found: list[int] = PrivateAttr(default_factory=list)

    @property
    def found(self) -> list[int]:
        """Numbers of the messages that were found last."""
        return self._found

    def coming(self, numbers: list[int]) -> None:
        """The next text is made of these messages."""
        self._coming = numbers

    def add(self, nodes: Sequence[BaseNode], **more: Any) -> list[str]:
        self._nodes |= {one.node_id: one for one in nodes}
        self._numbers |= {one.node_id: self._coming for one in nodes}
        return super().add(nodes, **more)

    def query(self, query: VectorStoreQuery, **more: Any) -> VectorStoreQueryResult:
        result = super().query(query, **more)
        ids = result.ids or []
        self._found = [number for one in ids for number in self._numbers[one]]
        result.nodes = [self._nodes[one] for one in ids]
        return result


class _Numbered(VectorMemoryBlock):
    """The block, without our numbers in its texts."""

    async def _aput(self, messages: list[ChatMessage]) -> None:
        self.vector_store.coming([one.additional_kwargs.pop('number') for one in messages])
        await super()._aput(messages)


class _Words(BaseEmbedding):
    """Embeddings of wordllama."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(one) for one in embed([text])[0]]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


VECTORS: dict[str, type[Peer]] = {
    'VectorMemoryBlock': Vectors,
    'VectorMemoryBlock, by USER': VectorsByUser,
}
