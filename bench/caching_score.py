"""Scores of caching policies by shape, regime of gaps and model, from the core's own cost model."""

from bench.timing import Check, Table
from tests.caching.shapes import MODELS, RANDOM, REGULAR, SHAPES, requests

from farthing.caching.simulation import Score, simulate

_QUICK = ('claude-sonnet-4-5',)
_POLICIES = ('5m', '1h', 'farthing', 'informed')
_ALMOST_NOTHING = 0.01


def measure(*, quick: bool) -> list[Table]:
    """One table a model; a cell is the share of the oracle's saving after the warm-up."""
    return [_table(model) for model in (_QUICK if quick else MODELS)]


def _table(model: str) -> Table:
    rows: list[tuple[str, ...]] = []
    bounds: dict[str, float] = {'regular': 1, 'random': 1, 'fixed': 1, 'none': 1, 'cost': 1}
    for shape in SHAPES:
        for regime, gaps in (REGULAR | RANDOM).items():
            made = requests(shape, gaps, model)
            found = {one.policy: one for one in simulate(lambda made=made: made)}
            rows.append((f'{shape}, {regime}', *_cells(found)))
            _bound(bounds, found, regular=regime in REGULAR)
    return Table(
        title=f'{model}: score after 30 requests of 300',
        columns=('', 'oracle / none', *_POLICIES, 'farthing / none'),
        rows=rows,
        checks=(
            Check(what='regular gaps', value=bounds['regular'], bound=0.97, unit='', least=True),
            Check(what='of informed', value=bounds['random'], bound=0.97, unit='', least=True),
            Check(what='above fixed', value=bounds['fixed'], bound=-0.01, unit='', least=True),
            Check(what='least score', value=bounds['none'], bound=0, unit='', least=True),
            Check(what='cost where nothing is to be saved', value=bounds['cost'], bound=1.005),
        ),
    )


def _cells(found: dict[str, Score]) -> list[str]:
    none = found['none'].scored_cost
    scores = [found[name].score for name in _POLICIES]
    return [
        f'{found["oracle"].scored_cost / none:.3f}',
        *('-' if score is None else f'{float(score):.1%}' for score in scores),
        f'{found["farthing"].scored_cost / none:.3f}',
    ]


def _bound(bounds: dict[str, float], found: dict[str, Score], *, regular: bool) -> None:
    """Lower each bound to the worst cell."""
    none, ours = found['none'].scored_cost, found['farthing'].scored_cost
    if none - found['oracle'].scored_cost < _ALMOST_NOTHING * none:
        bounds['cost'] = max(bounds['cost'], ours / none)
        return
    score, informed, *fixed = (
        float(found[name].score or 0) for name in ('farthing', 'informed', '5m', '1h')
    )
    bounds['none'] = min(bounds['none'], score)
    bounds['fixed'] = min(bounds['fixed'], score - max(fixed))
    if regular:
        bounds['regular'] = min(bounds['regular'], score)
    else:
        bounds['random'] = min(bounds['random'], score / informed)
