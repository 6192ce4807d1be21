"""Running the simulated providers: in a thread of this process, or as `farthing-sim serve`.

The web server is imported only when one is started, because pytest imports this package in
every session in which it is installed.
"""

import argparse
import contextlib
import http.client
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farthing_sim.caches import DEFAULT_RULES, CacheRules
from farthing_sim.clock import Clock
from farthing_sim.schedule import DEFAULT_BATCH_RULES, BatchRules
from farthing_sim.state import State

if TYPE_CHECKING:
    import uvicorn

_HOST = '127.0.0.1'
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sim:
    """A running server of simulated providers."""

    url: str
    state: State

    @property
    def anthropic_url(self) -> str:
        """What Anthropic's SDK takes as `base_url`."""
        return self.url

    @property
    def openai_url(self) -> str:
        """What OpenAI's SDK takes as `base_url`."""
        return f'{self.url}/v1'

    @property
    def clock(self) -> Clock:
        """The server's time: `sim.clock.advance(300)` lets five minutes pass for its caches."""
        return self.state.clock

    def log(self) -> list[dict[str, Any]]:
        """One entry per request to a model and per operation on files and batches, oldest first.

        Keys: serial, time_s, path, api, model, stream, status, id, usage (in the provider's
        own words, as billed; `None` for an operation), events_sent, delivered (whether the whole
        answer was sent).
        """
        return self.state.log()

    def fault(self, **fault: Any) -> None:
        """Let the next call that has no fault yet go wrong; see `farthing_sim.faults.Fault`.

        Raises:
            FaultError: No fault has such a key.
        """
        self.state.plan([fault])

    def charges(self) -> list[dict[str, Any]]:
        """What was billed so far: calls in the order of the log, then batches, oldest first.

        Every batch is brought up to the clock before; of one that is not through, the requests
        that are due are billed. Keys: time_s, api, model, id, usage (in the provider's own
        words), and for requests of batches batch_id and custom_id (else `None`).
        """
        # Asked of the server, whose loop alone works on batches.
        connection = http.client.HTTPConnection(self.url.removeprefix('http://'))
        with contextlib.closing(connection):
            connection.request('GET', '/__sim__/charges')
            return [json.loads(line) for line in connection.getresponse()]

    def reset(
        self,
        *,
        rules: CacheRules | None = None,
        batches: BatchRules | None = None,
        models: Mapping[str, int] | None = None,
    ) -> None:
        """Forget log, planned faults, conversations, caches, files and batches; tell real time.

        Args:
            rules: How the prompt caches work until the next reset; those of the server unless
                given.
            batches: How batches go until then, likewise.
            models: The models that there are until then, and the most output tokens of each; any
                name is a model, without a limit, unless given.
        """
        self.state.reset(rules, batches=batches, models=models)


@contextlib.contextmanager
def serving(
    *,
    port: int = 0,
    clock: Callable[[], float] = time.time,
    seed: str | None = None,
    rules: CacheRules = DEFAULT_RULES,
    batches: BatchRules = DEFAULT_BATCH_RULES,
) -> Iterator[Sim]:
    """Serve the simulated providers on loopback, in a thread, while the block runs.

    Args:
        port: 0 takes a free one.
        clock: Unix time in seconds that answers are stamped with.
        seed: Part of every id; a random one unless recordings must be the same again.
        rules: How the prompt caches work, or that there are none.
        batches: How long batches take, and what they may hold.

    Raises:
        OSError: The port is taken.
        RuntimeError: The server did not start in time.
    """
    seed = secrets.token_hex(4) if seed is None else seed
    state = State(clock=clock, seed=seed, rules=rules, batches=batches)
    listener = _listen(port)
    server = _server(state)
    thread = threading.Thread(
        target=server.run, kwargs={'sockets': [listener]}, name='farthing-sim', daemon=True
    )
    thread.start()
    try:
        _wait(server, thread)
        yield Sim(url=_url(listener), state=state)
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_S)
        listener.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `farthing-sim`: serve until interrupted; the first line tells the address."""
    parser = argparse.ArgumentParser(
        prog='farthing-sim', description='Simulated providers of language models on loopback.'
    )
    commands = parser.add_subparsers(dest='command', required=True)
    serve = commands.add_parser('serve', help='serve Anthropic and OpenAI until interrupted')
    serve.add_argument('--port', type=int, default=0, help='0 (the default) takes a free one')
    serve.add_argument('--seed', help='part of every id; random unless given')
    serve.add_argument(
        '--batch-s', type=float, default=0, help='seconds that a batch takes; 0 (the default)'
    )
    given = parser.parse_args(arguments)
    seed = secrets.token_hex(4) if given.seed is None else given.seed
    try:
        batches = BatchRules(processing_s=given.batch_s)
    except ValueError as error:
        parser.error(str(error))
    try:
        listener = _listen(given.port)
    except (OSError, OverflowError) as error:
        parser.exit(1, f'farthing-sim: cannot listen on port {given.port}: {error}\n')
    print(_url(listener), flush=True)  # noqa: T201 - the address is the command's output
    with contextlib.suppress(KeyboardInterrupt), listener:
        state = State(clock=time.time, seed=seed, rules=DEFAULT_RULES, batches=batches)
        _server(state).run(sockets=[listener])
    return 0


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only on sockets that are TCP by name; with it, every
    # answer would wait 40 ms for the client's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen()
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    return f'http://{_HOST}:{listener.getsockname()[1]}'


def _server(state: State) -> 'uvicorn.Server':
    import uvicorn  # noqa: PLC0415 - see the module's docstring

    from farthing_sim.app import build  # noqa: PLC0415 - the same

    return uvicorn.Server(
        uvicorn.Config(
            build(state),
            lifespan='off',
            ws='none',
            log_config=None,
            log_level='critical',
            access_log=False,
            # Never close an idle connection under a client that is about to use it again.
            timeout_keep_alive=3_600,
            timeout_graceful_shutdown=1,
        )
    )


def _wait(server: 'uvicorn.Server', thread: threading.Thread) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError(f'the simulated providers did not start within {_PATIENCE_S} s')
        time.sleep(0.005)
