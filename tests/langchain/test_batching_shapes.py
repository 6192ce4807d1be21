"""Chains of shapes that a batch of one model's requests could not hold, and what comes out."""

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableBranch, RunnableLambda, RunnableParallel
from langchain_openai import OpenAIEmbeddings
from pydantic import BaseModel


class Note(BaseModel):
    """A note about a topic."""

    title: str
    words: int


class Nearest(BaseRetriever):
    """Finds the texts that are nearest to a question."""

    embeddings: Embeddings
    texts: list[str]

    def _get_relevant_documents(self, query, *, run_manager) -> list[Document]:
        return self._nearest(self.embeddings.embed_query(query))

    async def _aget_relevant_documents(self, query, *, run_manager) -> list[Document]:
        return self._nearest(await self.embeddings.aembed_query(query))

    def _nearest(self, asked: list[float]) -> list[Document]:
        assert asked
        return [Document(text) for text in self.texts]


async def collected(job):
    return {outcome.index: outcome async for outcome in job.results()}


async def test_structured_output_comes_by_both_methods_with_its_usage(
    claude, gpt, runner, tmp_path
) -> None:
    chain = RunnableParallel(
        {
            f'{name} {method}': model.with_structured_output(Note, method=method, include_raw=True)
            for name, model in {'claude': claude(), 'gpt': gpt()}.items()
            for method in ('function_calling', 'json_schema')
        }
    )
    plain = await chain.ainvoke('Note on batches')
    outcomes = await collected(await runner().submit(chain, ['Note on batches']))

    found = outcomes[0].output
    assert {name: one['parsed'] for name, one in plain.items()} == {
        name: one['parsed'] for name, one in found.items()
    }
    assert {Note} == {type(one['parsed']) for one in found.values()}
    usage = {name: one['raw'].usage_metadata['total_tokens'] for name, one in plain.items()}
    assert usage == {name: one['raw'].usage_metadata['total_tokens'] for name, one in found.items()}
    (journal,) = tmp_path.glob('*.journal')
    assert b'ls_structured_output_format' not in journal.read_bytes()


async def test_branches_maps_and_retrievers_are_run_as_they_are(claude, gpt, runner, sim) -> None:
    embeddings = OpenAIEmbeddings(
        model='text-embedding-3-small', base_url=sim.openai_url, api_key='sk-simulated',
        check_embedding_ctx_length=False,
    )  # fmt: skip
    retriever = Nearest(embeddings=embeddings, texts=['Write 4 words', 'Write 7 words'])
    model = RunnableBranch(
        (lambda text: '4' in text, claude()),
        gpt(),
    )
    chain = (
        retriever
        | RunnableLambda(lambda found: [one.page_content for one in found])
        | (model | StrOutputParser()).map()
    )
    outcomes = await collected(await runner().submit(chain, ['one', 'two']))

    assert [[4, 7]] * 2 == [[len(text.split()) for text in outcomes[n].output] for n in (0, 1)]
    assert [True] * 6 == [one['batch_id'] is not None for one in sim.charges()]


@pytest.mark.parametrize('model', ['claude', 'gpt'])
async def test_an_answer_carries_its_usage_and_its_model(model, request, runner) -> None:
    asked = request.getfixturevalue(model)()
    plain = await asked.ainvoke('Write 5 words')
    answer = (await collected(await runner().submit(asked, ['Write 5 words'])))[0].output

    assert plain.usage_metadata == answer.usage_metadata
    assert plain.response_metadata['model_name'] == answer.response_metadata['model_name']
