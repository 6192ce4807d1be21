"""What providers and models are called, and which of a book's models an id means.

An id means a model when the book lists it; a prefix alone never does, for `gpt-4o-2024-05-13` had
other prices than `gpt-4o` and `gpt-6.2-sol` is no `gpt-6`. The one liberty is a well-formed date
behind a listed id: it names a snapshot, whose price is then assumed to be its model's.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

PROVIDERS = {
    'anthropic': 'anthropic',
    'openai': 'openai',
    'azure': 'azure',
    'azure_openai': 'azure',
    'azure-openai': 'azure',
    'azure_ai': 'azure',
    'az.ai.openai': 'azure',
    'azure.ai.openai': 'azure',
    'google': 'google',
    'gemini': 'google',
    'google_genai': 'google',
    'google-genai': 'google',
    'gcp.gemini': 'google',
    'google-vertex': 'google-vertex',
    'google_vertex': 'google-vertex',
    'google_vertexai': 'google-vertex',
    'google_anthropic_vertex': 'google-vertex',
    'vertex_ai': 'google-vertex',
    'vertexai': 'google-vertex',
    'vertex': 'google-vertex',
    'gcp.vertex_ai': 'google-vertex',
    'aws-bedrock': 'aws-bedrock',
    'aws.bedrock': 'aws-bedrock',
    'bedrock': 'aws-bedrock',
    'bedrock_converse': 'aws-bedrock',
    'amazon_bedrock': 'aws-bedrock',
    'aws': 'aws-bedrock',
}
"""The names that frameworks, OpenTelemetry and routers give to a provider."""

# Prefixes that only repeat who made or sells the model, by the provider that may be asked so.
_PREFIXES = {
    'anthropic': ('anthropic/',),
    'openai': ('openai/',),
    'azure': ('azure/', 'azure_ai/', 'openai/'),
    'google': ('models/', 'google/', 'gemini/', 'google_genai/'),
    'google-vertex': ('vertex_ai/', 'models/', 'google/', 'gemini/', 'anthropic/'),
    'aws-bedrock': ('bedrock/', 'converse/', 'aws/'),
}
# Ids that say another seller than the one that was named: the id is right about its own form.
_SELLERS = (
    (re.compile(r'azure(?:_ai)?/'), 'azure'),
    (re.compile(r'(?:vertex_ai|projects)/|publishers/'), 'google-vertex'),
    (re.compile(r'bedrock/|arn:aws|(?:[a-z-]{2,6}\.|global\.)?anthropic\.'), 'aws-bedrock'),
)
_RESOURCE = re.compile(r'(?:projects/.*/)?publishers/[a-z]+/models/')
_ARN = re.compile(r'arn:aws[a-z-]*:bedrock:[^/]*:(?:inference-profile|foundation-model)/')
_BEDROCK = re.compile(
    r'(?:(?P<area>global|us|eu|apac|au|jp)\.)?anthropic\.(?P<model>claude-[a-z0-9-]+?)'
    r'(?:-v\d+(?::\d+)?(?::\d+k)?)?'
)
_TUNED = re.compile(r'ft:(?P<base>[a-z0-9.-]+)(?::[^:]*){1,3}(?::ckpt-step-\d+)?')
_DATED = re.compile(r'(?P<base>.+?)[-@](?P<y>20\d\d)(?P<dash>-?)(?P<m>\d\d)(?P=dash)(?P<d>\d\d)')
_ANY_VERSION = ('@default', '@latest')


class Name(NamedTuple):
    """A model of the book, and what its id says beside it.

    Attributes:
        model: Id in the book.
        region: The region that the id stands for, as Bedrock's prefixes do; `None` if none.
        assumed: What was assumed to find it.
    """

    model: str
    region: str | None = None
    assumed: tuple[str, ...] = ()


def provider_of(provider: str, model: str) -> str | None:
    """The seller in the book's word: what the id's form says, else what was named."""
    named = PROVIDERS.get(provider.lower())
    if named is None:
        return None
    for form, seller in _SELLERS:
        if form.match(model.lower()):
            return seller
    return named


def resolve(provider: str, model: str, ids: Mapping[str, str]) -> Name | None:
    """The model that an id means, `None` where the book has none.

    Args:
        provider: A provider in the book's word.
        model: The id, in any of its forms.
        ids: The listed ids of the provider's models, each with its model.
    """
    plain = _bare(provider, model.lower())
    if provider == 'aws-bedrock':
        found = _BEDROCK.fullmatch(plain)
        if found is None:
            return _listed(plain, ids)
        name = _listed(found['model'], ids)
        region = found['area'] or 'in-region'
        return None if name is None else name._replace(region=region)
    if tuned := _TUNED.fullmatch(plain):
        plain = f'ft:{tuned["base"]}'
        return Name(ids[plain]) if plain in ids else None
    return _listed(plain, ids)


def _bare(provider: str, model: str) -> str:
    if found := _RESOURCE.match(model) or _ARN.match(model):
        return model[found.end() :]
    for prefix in 2 * _PREFIXES.get(provider, ()):  # Two may be stacked: `vertex_ai/google/`.
        model = model.removeprefix(prefix)
    for suffix in _ANY_VERSION:
        model = model.removesuffix(suffix)
    return model


def _listed(plain: str, ids: Mapping[str, str]) -> Name | None:
    dashed = plain.replace('@', '-')
    if plain.startswith('claude-'):
        dashed = dashed.replace('.', '-')
    for form in (plain, dashed):
        if form in ids:
            model = ids[form]
            return Name(model.removesuffix('?'), assumed=('alias',) if model[-1] == '?' else ())
    found = _DATED.fullmatch(plain)
    if found is None or not _is_date(found['y'], found['m'], found['d']):
        return None
    base = _listed(found['base'], ids)
    return None if base is None else base._replace(assumed=('snapshot',))


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
