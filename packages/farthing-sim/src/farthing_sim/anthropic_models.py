"""What about a model of Anthropic's decides how its prompts are cached."""

import re

_MODEL = re.compile(
    r'claude-(?:(?P<old_major>\d)(?:-(?P<old_minor>\d))?-)?(?P<family>[a-z]+)'
    r'(?:-(?P<major>\d)(?:-(?P<minor>\d))?(?![\d]))?'
)

# Tokens of the shortest prefix that is cached: prompt caching page and
# https://github.com/anthropics/skills (skills/claude-api/shared/prompt-caching.md).
_MINIMUM = {
    ('opus', (5, 0)): 512,
    ('opus', (5, 5)): 512,
    ('fable', (5, 0)): 512,
    ('fable', (5, 1)): 512,
    ('mythos', (5, 0)): 512,
    ('mythos', (5, 1)): 512,
    ('opus', (4, 7)): 2_048,
    ('mythos', (0, 0)): 2_048,
    ('haiku', (3, 0)): 2_048,
    ('haiku', (3, 5)): 2_048,
    ('opus', (4, 6)): 4_096,
    ('opus', (4, 5)): 4_096,
    ('haiku', (4, 5)): 4_096,
}
_OTHER_MINIMUM = 1_024
"""Of Opus 4.8, 4.1 and 4, of every Sonnet so far, and of models that we do not know."""

_KEEPS_THINKING = {'opus': (4, 5), 'sonnet': (4, 6), 'haiku': (4, 6)}
"""The first version of each family that keeps the thinking of earlier turns."""


def minimum(model: str) -> int:
    """Tokens of the shortest prefix that the model caches."""
    return _MINIMUM.get(_parsed(model), _OTHER_MINIMUM)


def keeps_thinking(model: str) -> bool:
    """Whether thinking stays in the prompt when the user speaks again."""
    family, version = _parsed(model)
    return version >= _KEEPS_THINKING.get(family, (0, 0))


def _parsed(model: str) -> tuple[str, tuple[int, int]]:
    """Family and version; the version is 0.0 where the name tells none (`mythos-preview`)."""
    found = _MODEL.search(model)
    if found is None:
        return model, (0, 0)
    major = found['major'] or found['old_major'] or 0
    minor = found['minor'] or found['old_minor'] or 0
    return found['family'], (int(major), int(minor))
