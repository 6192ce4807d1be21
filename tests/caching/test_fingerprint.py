from farthing.caching.fingerprint import Block, Prefix, diagnosis, digests, place, read


def test_what_is_written_is_read() -> None:
    items = (
        'aa01' + place('t', 2, 340, None),
        'aa02' + place('s', 0, 2_000, '1h'),
        'aa03ptool_choice',
        'aa04' + place('m', 4, 120, '5m'),
        '*5m',
        diagnosis('system_changed', 1_234),
    )

    blocks = (
        Block('aa01', 't', 'tools[2]', 340),
        Block('aa02', 's', 'system[0]', 2_000, '1h'),
        Block('aa03', 'p', 'tool_choice'),
        Block('aa04', 'm', 'messages[4]', 120, '5m'),
    )
    assert Prefix(blocks, '5m', explicit=False, said='system_changed', said_tokens=1_234) == read(
        items
    )
    assert read(items).placed


def test_an_older_ledgers_digests_are_read_and_have_no_place() -> None:
    found = read(('4f0c9a12b7d3e586', 'user'))

    assert (Block('4f0c9a12b7d3e586', '', ''), Block('user', '', '')) == found.blocks
    assert not found.placed


def test_marks_and_parameters_leave_the_digests_of_the_content_alone() -> None:
    assert ('aa', 'bb') == digests(('aas0.10*5m', 'ccpthinking', 'bbm0.9', '*explicit', '!unsaid'))
    assert ('aa', 'bb') == digests(('aa', 'bb'))
    assert read(('aas0.10', '*explicit')).explicit
