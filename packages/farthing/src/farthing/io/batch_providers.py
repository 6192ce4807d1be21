"""Which provider a batch is sent to, and with whose key: keys are kept in memory alone.

A job that goes on in another process is driven with the key of the environment, under the names
that the SDKs read.
"""

import hmac
import os
import threading
from collections.abc import Mapping
from hashlib import sha256

from farthing.attribution import Attribution
from farthing.batching.chunking import Target
from farthing.errors import InputError
from farthing.io.batch_http import HttpProvider
from farthing.run.drafting import Asked
from farthing.run.providers import Provider
from farthing.wire import endpoint

_VERSION = '2023-06-01'
_KEPT = ('authorization', 'openai-organization', 'openai-project', 'x-api-key')
"""Headers that tell whose account pays, sorted by name."""
_Place = tuple[str, str]


class HttpProviders:
    """The providers of one ledger's jobs. Safe to use from several threads.

    Args:
        key: The ledger's key, for fingerprints of the credentials.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._clients: dict[_Place, dict[str, Provider]] = {}
        self._accounts: dict[tuple[str | None, ...], str] = {}

    def __call__(self, target: Target) -> Provider | None:
        """The provider of a target: with its own credentials, else the only ones for there."""
        place = target.provider, target.base
        known = self._clients.get(place, {})
        if target.account in known:
            return known[target.account]
        if len(known) == 1:
            return next(iter(known.values()))
        return None

    def learn(self, provider: str, base: str, headers: Mapping[str, str]) -> str:
        """Keep the credentials of a request; the fingerprint of their account."""
        seen = provider, base, *map(headers.get, _KEPT)
        if seen in self._accounts:
            return self._accounts[seen]
        kept = {name: value for name in _KEPT if (value := headers.get(name)) is not None}
        facts = '\n'.join(f'{name}={value}' for name, value in kept.items())
        account = hmac.new(self._key, facts.encode(), sha256).hexdigest()[:16]
        with self._lock:
            clients = self._clients.setdefault((provider, base), {})
            if account not in clients:
                clients[account] = HttpProvider(provider, base, kept)
            self._accounts[seen] = account
        return account

    def learn_environment(self) -> None:
        """Keep the credentials that the environment has."""
        for provider in ('anthropic', 'openai'):
            if os.environ.get(f'{provider.upper()}_API_KEY'):
                self.learn(provider, *_of_environment(provider))

    def asked(
        self, provider: str, path: str, body: Mapping[str, object], who: Attribution
    ) -> Asked:
        """A request of a file, sent with the key of the environment.

        Raises:
            InputError: The environment has no key for the provider.
        """
        base, headers = _of_environment(provider)
        api = endpoint('', path, listed=True)
        told = {'anthropic-version': _VERSION} if provider == 'anthropic' else {}
        return Asked(
            provider=provider,
            api=api.api if api else 'unknown',
            base=base,
            path=path,
            headers=told,
            account=self.learn(provider, base, headers),
            body=body,
            who=who,
        )


def _of_environment(provider: str) -> tuple[str, dict[str, str]]:
    """The address and the credentials that the provider's SDK would use."""
    name = provider.upper()
    secret = os.environ.get(f'{name}_API_KEY')
    if not secret:
        raise InputError(f'there is no key for {provider}: set {name}_API_KEY')
    base = os.environ.get(f'{name}_BASE_URL', '').rstrip('/')
    if provider == 'anthropic':
        return f'{base or "https://api.anthropic.com"}/v1', {'x-api-key': secret}
    headers = {'authorization': f'Bearer {secret}'}
    for kind, variable in (('organization', 'OPENAI_ORG_ID'), ('project', 'OPENAI_PROJECT_ID')):
        if os.environ.get(variable):
            headers[f'openai-{kind}'] = os.environ[variable]
    return base or 'https://api.openai.com/v1', headers
