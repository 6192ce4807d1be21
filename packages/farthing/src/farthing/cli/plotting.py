"""A picture of quality against cost; matplotlib, which the extra `farthing[plot]` brings."""

from farthing.errors import InputError
from farthing.routing.evaluating import Evaluation
from farthing.routing.labels import Labels
from farthing.routing.measures import Ranking, cost_share
from farthing.routing.numeric import Array, np

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise InputError('`--plot` needs matplotlib: `pip install "farthing[plot]"`') from error


def quality_against_cost(
    path: str, found: Evaluation, labels: Labels, scores: Array, price_ratio: float
) -> None:
    """Draw the policy's curve between the two models, beside chance, hindsight and task table.

    Args:
        path: The file; its ending names the format.
        found: The evaluation, for the points.
        labels: The labelled queries.
        scores: The policy's score of each; not a number where it has no opinion.
        price_ratio: What a strong call costs in weak ones.

    Raises:
        InputError: The file cannot be written, or its ending names no format.
    """
    known = np.flatnonzero(~np.isnan(scores))
    weak, strong = np.array(labels.weak)[known], np.array(labels.strong)[known]
    figure = Figure(figsize=(7, 5), layout='constrained')
    axes = figure.add_subplot()
    rankings = {'policy': scores[known], 'oracle': strong - weak, 'random': np.zeros(len(known))}
    for name, ranked in rankings.items():
        curve = Ranking.of(ranked, weak, strong).curve()
        costs = [cost_share(share, price_ratio) for share in curve.share]
        axes.plot(costs, curve.quality, label=name, linestyle='--' if name == 'random' else '-')
    for row in found.rows:
        if row.cost is not None and row.quality is not None:
            axes.plot(
                row.cost, row.quality, marker='o', linestyle='', label=f'{row.router}, as set'
            )
    axes.set_xlabel('cost, as a share of always-strong')
    axes.set_ylabel('mean score')
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f'`--plot` {path!r} cannot be written: {error}') from error
