"""A policy from a file: a calibrated router in JSON, or rules in YAML."""

from pathlib import Path

from farthing.errors import InputError
from farthing.routing import wordllama
from farthing.routing.artefact import Artefact, read
from farthing.routing.policy import Embed
from farthing.routing.rules import Rules
from farthing.routing.trained import Trained

_YAML = {'.yaml', '.yml'}


def policy_of(path: str, *, weak: str, strong: str) -> Trained | Rules:
    """The policy in a file, for two routes.

    Raises:
        InputError: The file cannot be read, or its rules name another route.
        ArtefactError: It is no router, damaged or of another version.
    """
    if Path(path).suffix not in _YAML:
        router = router_of(path)
        return Trained(router=router, weak=weak, strong=strong, embed=embed_of(router))
    rules = Rules.from_yaml(path)
    if unknown := {rule.route for rule in rules.rules} - {weak, strong}:
        raise InputError(f'{path} names the route {min(unknown)!r}: expected {weak} or {strong}')
    return rules


def router_of(path: str) -> Artefact:
    """The calibrated router in a file.

    Raises:
        InputError: The file cannot be read.
        ArtefactError: It is no router, damaged or of another version.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'the router {path!r} cannot be read: {error.strerror}') from error
    return read(content)


def embed_of(router: Artefact) -> Embed | None:
    """The embedding that the router looks at; `None` where it looks at none.

    Raises:
        InputError: The command line does not have it.
    """
    if router.embedding is None:
        return None
    if router.embedding != wordllama.NAME:
        raise InputError(
            f'the router looks at the embedding {router.embedding!r}, the command line has '
            f'{wordllama.NAME}: evaluate it in Python'
        )
    return wordllama.embedder()
