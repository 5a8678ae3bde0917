"""Orders worked out by hand: of an answerer that is always right, and of one that reverses every window."""

import pytest

from bench.errors import BenchError
from bench.rerankers.generative import spec as specs
from bench.rerankers.generative.strategies import sliding, spread


def ranked(spec, n, answer):
    """The list's order, and the windows shown."""
    walk = specs.read(spec).walk(n)
    shown = []
    try:
        windows = next(walk)
        while True:
            shown += windows
            windows = walk.send([answer(window) for window in windows])
    except StopIteration as done:
        return done.value, shown


def perfect(window):
    """The later a document comes, the better it is: the last shall be first."""
    return tuple(sorted(range(len(window)), key=lambda place: -window[place]))


def reversing(window):
    return tuple(reversed(range(len(window))))


def down(first, last):
    return list(range(first, last - 1, -1))


def up(first, last):
    return list(range(first, last + 1))


@pytest.mark.parametrize(
    ("depth", "spans"),
    [
        (0, []),
        (1, []),
        (3, [(0, 3)]),
        (19, [(0, 19)]),
        (20, [(0, 20)]),
        (21, [(1, 21), (0, 11)]),
        (95, [(75, 95), (65, 85), (55, 75), (45, 65), (35, 55), (25, 45), (15, 35), (5, 25), (0, 15)]),
        (100, [(80, 100), (70, 90), (60, 80), (50, 70), (40, 60), (30, 50), (20, 40), (10, 30), (0, 20)]),
    ],
)
def test_windows_reach_the_front_at_every_depth(depth, spans):
    assert list(sliding.spans(depth, 20, 10)) == spans


@pytest.mark.parametrize("depth", [3, 19, 20])
def test_one_window_is_simply_sorted(depth):
    assert ranked("", depth, perfect)[0] == down(depth - 1, 0)
    assert ranked("", depth, reversing)[0] == down(depth - 1, 0)


def test_perfect_at_21():
    """The first window sorts 1 to 20; the second takes its best ten and document 0."""
    assert ranked("", 21, perfect)[0] == [*down(20, 11), 0, *down(10, 1)]


def test_reversing_at_21():
    assert ranked("", 21, reversing)[0] == [*up(11, 20), 0, *down(10, 1)]


@pytest.mark.parametrize("depth", [95, 100])
def test_perfect_carries_the_best_ten_to_the_front(depth):
    """Every window hands its best ten on, so the last ten documents climb all the way, and each ten below stays put."""
    order, shown = ranked("", depth, perfect)
    assert order[:10] == down(depth - 1, depth - 10)
    # The last window holds the best ten and what was at the front; each window before left its worse half behind.
    front = depth - 90 if depth < 100 else 10
    assert order[10 : 10 + front] == down(front - 1, 0)
    assert order[10 + front :] == [each for start in range(front, depth - 10, 10) for each in down(start + 9, start)]
    assert len(shown) == 9


@pytest.mark.parametrize("depth", [95, 100])
def test_reversing_carries_the_last_ten_to_the_front(depth):
    """A window's halves change places: its last ten go on, turned nine times, and what they pass is turned once."""
    order, _ = ranked("", depth, reversing)
    front = depth - 90 if depth < 100 else 10
    passed = [each for start in range(front, depth - 10, 10) for each in down(start + 9, start)]
    assert order == [*down(depth - 1, depth - 10), *down(front - 1, 0), *passed]


def test_a_second_pass_starts_from_the_first_ones_order():
    once, shown = ranked("sliding,window=4,stride=2", 8, perfect)
    assert once == [7, 6, 1, 0, 3, 2, 5, 4]
    twice, again = ranked("sliding,window=4,stride=2,passes=2", 8, perfect)
    assert again[: len(shown)] == shown
    assert again[len(shown)] == (3, 2, 5, 4)
    assert twice == [7, 6, 5, 4, 1, 0, 3, 2]


def test_the_whole_list_at_once():
    assert ranked("whole", 50, perfect) == (down(49, 0), [tuple(range(50))])


def test_setwise_sorts_its_top():
    order, shown = ranked("setwise,of=4,top=10", 100, perfect)
    assert order == [*down(99, 90), *up(0, 89)]
    assert max(map(len, shown)) == 4
    assert len(shown) < 120


def test_setwise_with_answers_that_keep_the_order():
    assert ranked("setwise,of=4,top=3", 9, lambda window: tuple(range(len(window))))[0][0] == 0


def test_pairwise_shows_each_pair_both_ways():
    order, shown = ranked("pairwise,top=3", 9, perfect)
    assert order == [8, 7, 6, 0, 1, 2, 3, 4, 5]
    assert all(shown[place] == shown[place + 1][::-1] for place in range(0, len(shown), 2))


@pytest.mark.parametrize("answer", [(0, 1), (1, 0)])
def test_pairwise_answers_that_contradict_each_other_leave_the_first_stages_order(answer):
    """A model that always names the same place has compared nothing."""
    assert ranked("pairwise,top=9", 9, lambda window: answer)[0] == up(0, 8)


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("spec", ["sliding", "whole", "setwise", "pairwise", "first"])
def test_nothing_is_asked_about_a_list_without_choice(spec, n):
    assert ranked(spec, n, perfect) == (up(0, n - 1), [])


def test_calls_are_counted_beforehand():
    assert spread(specs.read("").walk(100)) == (9, 180)
    assert spread(specs.read("sliding,passes=3").walk(95)) == (27, 3 * 175)
    assert spread(specs.read("whole").walk(100)) == (1, 100)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slide", "There is no strategy 'slide'"),
        ("sliding,depth=3", "It takes window=N, stride=N, passes=N, thinking=N, prompt=NAME"),
        ("sliding,window=0", "'window=0' does not fit"),
        ("sliding,window=1,stride=1", "at least 2"),
        ("sliding,window=5", "stride is larger than window"),
        ("sliding,prompt=none", "There is no prompt 'none'"),
        ("sliding,prompt=../x", "There is no prompt '../x'"),
        ("sliding,prompt=zero-shot-best", "needs the order"),
        ("setwise,prompt=zero-shot", "needs the best"),
        ("first,window=27", "at most 26"),
    ],
)
def test_what_does_not_fit_is_refused(text, says):
    with pytest.raises(BenchError) as caught:
        specs.read(text)
    assert says in str(caught.value)
