"""What a person is told of work that takes long."""

from __future__ import annotations

import io
from itertools import count

from training.progress import display


def test_lines_tell_the_time_left_of_each_piece_of_work() -> None:
    stream, clock = io.StringIO(), count(0, 20)
    with display(stream, lambda: float(next(clock))) as show:
        for done in range(1, 4):
            show(done, 100, f"step {done}")
        show(1, 10, "reading 1")
        show(2, 10, "reading 2")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "step 1"
    assert lines[1].startswith("step 2, ")
    assert lines[1].endswith(" left")
    assert lines[3] == "reading 1"  # other work: its speed is not known yet
    assert lines[4].startswith("reading 2, ")
    assert "h" not in lines[4].split(",")[1]
