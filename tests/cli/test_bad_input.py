"""Whatever a user gets wrong is one line on stderr and the exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest

WRONG = [
    (('nonsense',), 'nonsense'),
    (('report', '--format', 'xml'), 'xml'),
    (('report', '--by', 'tenantt'), "did you mean 'tenant'"),
    (('report', '--by', 'tenant,tenant'), 'once'),
    (('report', '--since', 'soon'), "'soon' is no time: expected a date"),
    (('report', '--since', '2026-11-03', '--until', '2026-11-01'), 'not before'),
    (('report', '--where', 'acme'), 'expected key=value'),
    (('report', '--where', 'colour=red'), 'colour'),
    (('report', '--ledger', 'absent.db'), 'there is no ledger'),
    (('report', '--ledger', 'postgres://host/db'), 'expected `sqlite'),
    (('report', '--ledger', '.'), 'directory'),
    (('report', '--ledger', 'text.db'), 'damaged or not a ledger'),
    (('entries', '--limit', '0'), "'--limit'"),
    (('entries', '--where', '=x'), 'expected key=value'),
    (('verify', '--ledger', 'text.db'), 'damaged or not a ledger'),
    (('findings', '--ledger', 'absent.db'), 'there is no ledger'),
    (('reprice', '--ledger', 'absent.db'), 'there is no ledger'),
    (('reprice', '--prices', 'absent.toml'), 'absent.toml'),
    (('demo', '--ledger', 'mysql://x'), 'expected `sqlite'),
    (('price',), '--provider, --api, --model, --usage-json is missing'),
    (('price', '--cases', 'absent.jsonl'), "'absent.jsonl' cannot be read"),
    (('price', '--cases', 'text.db', '--model', 'x'), 'expected one of them'),
    (('price', '--cases', 'bytes'), 'no text in UTF-8'),
]
PRICE = ('price', '--provider', 'openai', '--model', 'gpt-4o-mini', '--at', '2026-06-01')
WRONG_USAGE = [
    (('--api', 'openai_chats'), 'openai_chats'),
    (('--api', 'openai_chat', '--usage-json', '{"prompt_tokens": 1'), 'is no JSON'),
    (('--api', 'openai_chat', '--usage-json', '[1]'), 'expected a JSON object'),
    (('--api', 'openai_chat', '--usage-json', '{"input_tokens": 1}'), 'no `prompt_tokens`'),
    (
        (
            '--api', 'openai_chat',
            '--usage-json', '{"prompt_tokens": 1, "completion_tokens": -1}',
        ),
        'at least 0',
    ),
    (
        (
            '--api', 'openai_chat', '--context', '{"batch": "yes"}',
            '--usage-json', '{"prompt_tokens": 1, "completion_tokens": 1}',
        ),
        'expected true or false',
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ('arguments', 'said'), [*WRONG, *(((*PRICE, *more), said) for more, said in WRONG_USAGE)]
)
def test_bad_input_is_one_line_and_exit_code_2(run, ledger, arguments, said) -> None:
    Path('text.db').write_text('this is a text\n' * 400)
    Path('bytes').write_bytes(b'\xff\xfe\xff')

    done = run(*arguments)

    lines = done.stderr.splitlines()
    assert 2 == done.exit_code
    assert 1 == len(lines), done.stderr
    assert lines[0].startswith('farthing')
    assert said in lines[0]
    assert not done.stdout


@pytest.mark.parametrize(
    'verb', ['', 'demo', 'report', 'entries', 'findings', 'price', 'prices', 'reprice', 'verify']
)
def test_every_verb_explains_itself_with_examples(run, verb) -> None:
    done = run(*filter(None, [verb]), '--help')

    assert 0 == done.exit_code
    assert 'Examples:' in done.stdout


def test_a_real_process_ends_with_the_same_line_and_code(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, '-c', 'from farthing.cli import main; main()', 'report'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 2 == done.returncode
    assert not done.stdout
    assert 1 == done.stderr.count('\n')
    assert done.stderr.startswith('farthing report: there is no ledger at')


def test_help_imports_no_framework_no_rich_and_no_price_data() -> None:
    heavy = ('rich', 'langchain_core', 'llama_index', 'farthing_sim', 'farthing.cli.report')
    code = (
        'import sys\n'
        'from farthing.cli import main\n'
        'try:\n    main(["--help"])\nexcept SystemExit: pass\n'
        f'found = [name for name in {heavy!r} if name in sys.modules]\n'
        'assert not found, found\n'
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, '-c', code], capture_output=True, text=True, check=False, timeout=60
    )

    assert 0 == done.returncode, done.stderr
    assert 'findings' in done.stdout
