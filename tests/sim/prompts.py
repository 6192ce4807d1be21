"""Prompts of so many tokens, and what an answer says about the cache."""

MODEL = 'claude-sonnet-4-6'

EPHEMERAL = {'type': 'ephemeral'}
HOUR = {'type': 'ephemeral', 'ttl': '1h'}


def words(number, word='alpha'):
    """A text that counts `number` tokens."""
    return ' '.join([word] * number)


def text(number, word='alpha', mark=None):
    """A block of so many tokens, marked or not."""
    block = {'type': 'text', 'text': words(number, word)}
    return block if mark is None else block | {'cache_control': mark}


def user(*blocks):
    return {'role': 'user', 'content': list(blocks)}


def assistant(*blocks):
    return {'role': 'assistant', 'content': list(blocks)}


def told(message):
    """(input that no cache had, written for 5 minutes, for an hour, read) of Anthropic's answer."""
    usage = message.usage
    split = usage.cache_creation
    written = (split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens)
    assert sum(written) == usage.cache_creation_input_tokens
    return usage.input_tokens, *written, usage.cache_read_input_tokens
