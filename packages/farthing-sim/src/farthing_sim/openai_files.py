"""OpenAI's Files, as far as batches need them.

https://platform.openai.com/docs/api-reference/files.
"""

from collections.abc import AsyncGenerator, Sequence
from operator import attrgetter

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.routing import Route

from farthing_sim.files import File
from farthing_sim.openai_common import REQUEST_ID, failure
from farthing_sim.operation import Asked, operations, page
from farthing_sim.spool import Spool
from farthing_sim.state import State
from farthing_sim.surface import Json, Refusal

API = 'openai_files'

BATCH_LIFE_S = 30 * 86_400.0
"""How long files of batches live unless they are told otherwise."""

_PURPOSES = frozenset({'assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'})
_MOST_LISTED = 10_000


def routes(state: State, prefix: str) -> list[Route]:
    """The operations on files, at their paths."""
    files = f'{prefix}/files'
    return operations(
        state,
        {
            ('create', 'POST', files): create,
            ('list', 'GET', files): list_,
            ('retrieve', 'GET', f'{files}/{{id}}'): retrieve,
            ('delete', 'DELETE', f'{files}/{{id}}'): delete,
            ('content', 'GET', f'{files}/{{id}}/content'): content,
        },
        api=API,
        request_id=REQUEST_ID,
        failure=failure,
    )


async def create(asked: Asked) -> Json:
    """Keep an uploaded file."""
    name, content, purpose, life_s = await _uploaded(asked)
    if purpose == 'batch' and life_s is None:
        life_s = BATCH_LIFE_S
    file = File(
        id=f'file-sim{asked.stamp.serial}',
        scope=asked.stamp.scope,
        created_s=asked.now,
        listed_s=asked.now + asked.fault.hidden_s,
        expires_s=None if life_s is None else asked.now + life_s,
        name=name,
        purpose=purpose,
        content=content,
    )
    asked.state.files.add(file)
    return view(file)


async def list_(asked: Asked) -> Json:
    """A page of files, newest first unless the order is asked for."""
    query = asked.request.query_params
    files = asked.state.files.listed(asked.stamp.scope, asked.now)
    if query.get('order') != 'asc':
        files.reverse()
    if purpose := query.get('purpose'):
        files = [file for file in files if file.purpose == purpose]
    limit = asked.number('limit', _MOST_LISTED, _MOST_LISTED)
    found, more = page(files, attrgetter('id'), limit=limit, after=query.get('after'))
    return listing([view(file) for file in found], more=more)


async def retrieve(asked: Asked) -> Json:
    """A file, without what is in it."""
    return view(_found(asked))


async def delete(asked: Asked) -> Json:
    """Forget a file."""
    file = _found(asked)
    asked.state.files.delete(file.id)
    return {'id': file.id, 'object': 'file', 'deleted': True}


async def content(asked: Asked) -> Sequence[Spool]:
    """What is in a file."""
    return (_found(asked).content,)


def view(file: File) -> Json:
    """A file in OpenAI's words."""
    return {
        'object': 'file',
        'id': file.id,
        'purpose': file.purpose,
        'filename': file.name,
        'bytes': file.content.size,
        'created_at': int(file.created_s),
        'expires_at': None if file.expires_s is None else int(file.expires_s),
        'status': 'processed',
        'status_details': None,
    }


def listing(data: list[Json], *, more: bool) -> Json:
    """A page of objects in OpenAI's words."""
    ids = [item['id'] for item in data] or [None]
    return {
        'object': 'list', 'data': data, 'has_more': more, 'first_id': ids[0], 'last_id': ids[-1],
    }  # fmt: skip


def _found(asked: Asked) -> File:
    file = asked.state.files.find(asked.id, asked.stamp.scope, asked.now)
    if file is None:
        raise Refusal(404, f'No such File object: {asked.id}', param='id')
    return file


async def _uploaded(asked: Asked) -> tuple[str, Spool, str, float | None]:
    """The name and the content of a form's file, its purpose, and how long it shall live."""

    async def parts() -> AsyncGenerator[bytes, None]:
        for part in asked.body.parts():
            yield part

    try:
        form = await MultiPartParser(asked.request.headers, parts()).parse()
    except (KeyError, MultiPartException) as error:
        raise Refusal(400, 'The request is no multipart form.') from error
    upload, purpose, life_s = map(form.get, ('file', 'purpose', 'expires_after[seconds]'))
    if not isinstance(upload, UploadFile):
        raise Refusal(400, "'file' is a required property", param='file')
    # From here on the spool closes the file.
    name, content = upload.filename or 'upload', Spool(upload.file)
    if purpose not in _PURPOSES:
        message = f"'{purpose}' is not one of {sorted(_PURPOSES)} - 'purpose'"
        raise Refusal(400, message, param='purpose')
    return name, content, str(purpose), None if life_s is None else float(str(life_s))
