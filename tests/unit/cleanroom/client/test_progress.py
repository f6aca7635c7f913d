from cleanroom.client import Pace, Step


def test_the_rate_and_the_time_left_follow_from_the_rows_done() -> None:
    times = iter([10.0, 10.0, 12.0, 15.0])
    seen: list[Step] = []
    pace = Pace(seen.append, seconds=lambda: next(times))
    pace(0, 400)
    pace(100, 400)
    pace(500, 500)
    assert seen == [Step(0, 400, 0.0, None), Step(100, 400, 50.0, 6.0), Step(500, 500, 100.0, 0.0)]
