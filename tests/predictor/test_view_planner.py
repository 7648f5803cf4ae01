"""Following views: they hold the object with margin, stay while they fit, and are shared."""

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.predictor.view_planner import ViewPlanner


def planner(frame: tuple[int, int] = (1000, 1200), is_following: bool = True) -> ViewPlanner:
    return ViewPlanner(frame, 256, extent=4.0, margin=0.1, is_following=is_following)


def box(y: int, x: int, size: int) -> tuple[int, int, int, int]:
    return (y, x, y + size, x + size)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 940), st.integers(0, 1140), st.integers(1, 60))
def test_a_view_holds_the_object_with_margin(y: int, x: int, size: int) -> None:
    plan = planner()
    view = plan.view_of(box(y, x, size), None, ())
    assert view.height == view.width
    assert view.contains(box(y, x, size), margin=0.1 * view.height)


def test_the_side_follows_the_size_of_the_object() -> None:
    plan = planner()
    assert plan.side_of(box(0, 0, 64)) == 256
    assert plan.side_of(box(0, 0, 32)) == 128
    assert plan.side_of(box(0, 0, 700)) <= 1200


def test_a_view_is_kept_until_the_object_nears_its_edge() -> None:
    plan = planner()
    first = plan.view_of(box(400, 400, 60), None, ())
    near = plan.view_of(box(440, 400, 60), first, ())
    assert near == first
    far = plan.view_of(box(520, 400, 60), first, ())
    assert far != first
    assert far.contains(box(520, 400, 60), margin=0.1 * far.height)


def test_a_view_is_left_when_the_object_outgrows_it() -> None:
    plan = planner()
    small = plan.view_of(box(400, 400, 20), None, ())
    grown = plan.view_of(box(390, 390, 60), small, ())
    assert grown.height > small.height


def test_neighbours_share_a_view_and_strangers_do_not() -> None:
    plan = planner()
    boxes = {
        1: (box(400, 400, 60), None),
        2: (box(420, 480, 55), None),
        3: (box(20, 20, 60), None),
    }
    views = plan.shared_views(boxes)
    assert views[1] == views[2]
    assert views[3] != views[1]
    for object_id, (bbox, _) in boxes.items():
        assert views[object_id].contains(bbox, margin=0.1 * views[object_id].height)


def test_an_object_that_moves_on_joins_the_view_of_its_neighbour() -> None:
    plan = planner()
    home = plan.view_of(box(400, 400, 60), None, ())
    lost = plan.view_of(box(400, 700, 60), None, ())
    views = plan.views_of({1: (box(400, 400, 60), home), 2: (box(410, 460, 60), lost)})
    assert views[2] == home


def test_an_unseen_object_keeps_its_view() -> None:
    plan = planner()
    view = plan.view_of(box(400, 400, 60), None, ())
    assert plan.views_of({1: (None, view)}) == {1: view}


def test_without_following_every_view_is_the_frame() -> None:
    plan = planner(is_following=False)
    assert plan.view_of(box(1, 1, 5), None, ()).is_whole
    assert plan.views_of({1: (box(1, 1, 5), None)})[1].is_whole
    assert plan.first_view((5, 5)).is_whole
