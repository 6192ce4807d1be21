"""Embeddings in the ledger: LangChain fires no callback for them, so they are wrapped."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from langchain_core.embeddings import Embeddings

from farthing.attribution import current, narrowed
from farthing.errors import InputError
from farthing.estimate import tokens
from farthing.io.tap import tap
from farthing.meter import Run, Spend, close, opened, post
from farthing.meter.shared import Source, account
from farthing.usage import Usage
from farthing.wire.reading import Reading
from langchain_farthing.facts import failure_of, observed

_PACKAGES = {
    'langchain_openai': 'openai',
    'langchain_google_genai': 'google',
    'langchain_google_vertexai': 'google-vertex',
    'langchain_aws': 'aws-bedrock',
}


class LedgerEmbeddings(Embeddings):
    """Any `Embeddings`, with each of its calls in the ledger.

    Args:
        embeddings: What embeds.
        ledger: As for `LedgerCallbackHandler`.
        tenant: Whose money it is, where no `farthing.attributed` block says so.
        task: What it is for, where no block says so.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: `embeddings` is no `Embeddings`.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        ledger: Source = None,
        *,
        tenant: str | None = None,
        task: str | None = None,
    ) -> None:
        if not isinstance(embeddings, Embeddings):
            raise InputError(f'`embeddings` is {embeddings!r}: expected an `Embeddings` object')
        self.embeddings = embeddings
        self._tenant = tenant
        self._task = task
        self._account = account(ledger)
        tap.install(self._account)

    @property
    def spend(self) -> Spend:
        """What the calls through this object cost so far."""
        return self._account.spend

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents."""
        with self._recorded(texts):
            return self.embeddings.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """Embed a query."""
        with self._recorded([text]):
            return self.embeddings.embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents."""
        with self._recorded(texts):
            return await self.embeddings.aembed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a query."""
        with self._recorded([text]):
            return await self.embeddings.aembed_query(text)

    @contextmanager
    def _recorded(self, texts: list[str]) -> Iterator[None]:
        """One run around a call; what the HTTP tap did not see is posted as an estimate."""
        here = current()
        package = type(self.embeddings).__module__.partition('.')[0]
        provider = _PACKAGES.get(package, package)
        run = opened(
            Run(
                str(uuid4()),
                parent_id=None,
                who=narrowed(
                    here, tenant=here.tenant or self._tenant, task=here.task or self._task
                ),
                account=self._account,
                provider=provider,
                tapped=tap.sees(provider),
                model=getattr(self.embeddings, 'model', None),
                call_type='embeddings',
            )
        )
        try:
            yield
        except BaseException as error:
            if close(run) and not run.seen:
                post(run.accounts, failure_of(run, error, None))
            raise
        if close(run) and not run.seen:
            usage = Usage(input_tokens=tokens(sum(map(len, texts))), output_tokens=0)
            post(run.accounts, observed(run, Reading(usage=usage), estimated=True))
