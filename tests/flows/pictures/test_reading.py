"""A run as plain numbers that are few enough to draw.

Invariants: a failure is a gap in its optimizer's curve and nowhere else; the end of each is marked at its last point;
bests, those alive, sessions and interventions are where they were; parameters read back from the unit cube.
"""

from __future__ import annotations

import numpy as np
import pytest

import flows.pictures.reading as reading
from flows.pictures.colours import PALETTE, default_grouping, groupings
from flows.pictures.figures import Figures, physical
from flows.pictures.reading import read_picture
from optim.journal import EventKind
from optim.store import open_run


def read(path):
    return read_picture(path.name, open_run(path / "run.zarr"))


def test_a_failure_is_a_gap_in_the_curve_of_its_optimizer(rich_picture) -> None:
    curves = rich_picture.curves
    gaps = {number: int(np.isnan(curves.losses[curves.optimizers == number]).sum()) for number in range(8)}
    assert gaps == {0: 1, 1: 1, 2: 1, 3: 5, 4: 1, 5: 1, 6: 1, 7: 1}  # each curve is closed by one
    assert rich_picture.failures == 4


def test_the_end_of_each_is_marked_at_its_last_point(rich_picture) -> None:
    places = rich_picture.icon_places
    assert set(places) == set(range(1, 8))
    assert places[1] == (275, pytest.approx(1000 ** (1 - 39 / 40)))
    assert places[3] == (277, pytest.approx(3 * 1000 ** (1 - 39 / 40)))


def test_an_optimizer_without_a_finite_loss_has_its_icon_at_the_top_and_one_without_evaluations_none(
    write,
) -> None:
    def story(author) -> None:
        for number in (1, 2, 3):
            author.spawn(number)
        author.evaluate(1, 7.0)
        author.evaluate(2, np.nan)
        author.event(EventKind.GAVE_UP, 2, "nothing works")

    assert read(write("top", story)).icon_places == {1: (1, 7.0), 2: (2, 7.0)}


def test_running_bests_end_with_the_last_evaluation(rich_picture) -> None:
    best = rich_picture.best
    assert best.evaluations[0] == 1
    assert best.evaluations[-1] == rich_picture.evaluations == 281
    assert (np.diff(best.losses[:-1]) < 0).all()
    assert best.losses[-1] == best.losses[-2] == pytest.approx(1000 ** (1 - 39 / 40))
    assert rich_picture.best_validation.losses[-1] == pytest.approx(2 * 1000 ** (1 - 30 / 40))


def test_sessions_and_interventions_are_marked_where_they_were(rich_picture) -> None:
    assert [(mark.kind, mark.evaluation) for mark in rich_picture.marks] == [
        ("resume", 148),
        ("intervention", 218),
        ("checkpoint", 281),
    ]
    assert rich_picture.marks[-1].text == "walltime"


def test_who_was_alive_is_counted_from_start_to_end(rich_picture) -> None:
    at, counts = rich_picture.alive
    assert dict(zip(at.tolist(), counts.tolist(), strict=True)) == {1: 7, 281: 1}


def test_parameters_read_back_from_the_unit_cube(rich_picture) -> None:
    eps, rmin = rich_picture.parameters
    paths = rich_picture.paths
    its = (paths.optimizers == 4) & np.isfinite(paths.losses)
    np.testing.assert_allclose(physical(paths.scaled[its, 0], eps), 1e-2, rtol=1e-5)
    np.testing.assert_allclose(physical(paths.scaled[its, 1], rmin), 3 + np.arange(40) / 200, rtol=1e-5)


def test_a_long_run_is_thinned(rich_run, monkeypatch) -> None:
    monkeypatch.setattr(reading, "MOST_LOSSES", 100)
    monkeypatch.setattr(reading, "MOST_VALUES", 100)
    picture = read(rich_run)
    assert len(picture.curves.losses) < 120
    assert len(picture.paths.losses) < 60
    assert picture.icon_places[1] == (275, pytest.approx(1000 ** (1 - 39 / 40)))


@pytest.mark.parametrize("dimensions", [1, 30])
def test_a_run_of_any_dimension_is_drawn(write, dimensions) -> None:
    from optim.space import Parameter

    def story(author) -> None:
        author.spawn(1)
        author.evaluate(1, 1.0)

    parameters = [Parameter(name=f"p{at}", initial=0.5, lower=0.0, upper=1.0) for at in range(dimensions)]
    picture = read(write(f"wide{dimensions}", story, parameters))
    assert picture.paths.scaled.shape == (2, dimensions)
    assert len(Figures(picture).parameter("p0").data) == 1
    with pytest.raises(ValueError, match=f"a plane has two parameters; there are {dimensions}"):
        Figures(picture).plane()


def test_colours_are_shared_out_by_optimizer_by_type_and_by_minimum(rich_picture) -> None:
    found = groupings(rich_picture)
    assert default_grouping(rich_picture) == "optimizer"
    assert found["type"].names == ("Nelder-Mead", "CMAES")
    assert found["type"].groups.tolist() == [-1, 0, 0, 0, 0, 1, 1, 1]
    assert found["minimum"].names[0] == "1.18850 (1 hit)".replace("1.18850", f"{1000 ** (1 - 39 / 40):.6g}")
    assert found["minimum"].groups.tolist() == [-1, *range(7)]


def test_of_many_types_and_minima_the_rest_is_called_others(write) -> None:
    def story(author) -> None:
        for number in range(1, 21):
            author.spawn(number, f"type {number}")
            author.evaluate(number, float(number), [1e-3, 2.0, 1 + number / 6])

    found = groupings(read(write("many", story)))
    for key in ("type", "minimum"):
        assert found[key].names[-1] == "others"
        assert found[key].groups.tolist() == [-1, *range(7), *[7] * 13]
        assert len(set(found[key].colours("dark"))) == len(PALETTE["dark"]) + 1
    assert not found["optimizer"].in_legend
