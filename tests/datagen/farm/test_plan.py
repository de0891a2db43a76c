from __future__ import annotations

from datagen.farm.attempts import Attempts
from datagen.farm.plan import Assemble, Plan, Render, Work
from manifests.layout import Layout
from manifests.spool import Spool


def finish(plan: Plan, work: Work) -> None:
    match work:
        case Render(clip):
            plan.clip_done(clip)
        case Assemble(shard):
            plan.shard_done(shard)


def test_hands_out_every_clip_once_and_every_shard_after_its_clips() -> None:
    layout = Layout("toy", 10, 4)
    plan = Plan(layout, bytearray(3), lambda shard: Spool())
    done: list[Work] = []
    while not plan.finished:
        work = plan.next()
        assert work is not None
        done.append(work)
        finish(plan, work)
    assert [work.clip for work in done if isinstance(work, Render)] == list(range(10))
    for shard in range(3):
        before = done[: done.index(Assemble(shard))]
        assert {Render(clip) for clip in layout.clips_of(shard)} <= set(before)
    assert plan.done == 10
    assert plan.left == 0


def test_goes_on_from_what_is_committed_and_spooled() -> None:
    spooled = {1: Spool(frozenset({4, 6}), frozenset({7})), 2: Spool(frozenset({8, 9}))}
    plan = Plan(Layout("toy", 10, 4), bytearray([1, 0, 0]), spooled.__getitem__)
    assert plan.done == 4
    assert plan.next() == Render(5)
    assert plan.next() == Assemble(2)
    assert plan.next() is None
    plan.clip_done(5)
    assert plan.next() == Assemble(1)
    plan.shard_done(1)
    plan.shard_done(2)
    assert plan.finished
    assert plan.done == 10


def test_a_lost_clip_is_rendered_again_before_its_shard() -> None:
    plan = Plan(Layout("toy", 2, 2), bytearray(1), lambda shard: Spool(frozenset({0, 1})))
    assert plan.next() == Assemble(0)
    plan.clip_lost(1)
    assert plan.next() == Render(1)
    assert plan.next() is None
    plan.put_back(Render(1))
    assert plan.next() == Render(1)
    plan.clip_done(1)
    assert plan.next() == Assemble(0)


def test_ten_million_clips_are_not_looked_at_before_their_turn() -> None:
    asked: list[int] = []

    def read_spool(shard: int) -> Spool:
        asked.append(shard)
        return Spool()

    layout = Layout("toy", 10_000_000, 1000)
    plan = Plan(layout, bytearray(layout.shards), read_spool)
    handed_out = [plan.next() for _ in range(1500)]
    assert handed_out[-1] == Render(1499)
    assert asked == [0, 1]
    assert plan.left == 10_000_002


def test_a_clip_is_given_up_after_its_own_failures_only() -> None:
    attempts = Attempts(3)
    attempts.failed(5, "worker process died", died_on="gone")
    attempts.failed(5, "worker process died", died_on="here")
    attempts.failed(5, "RuntimeError: no")
    assert attempts.verdict(5, {"here", "gone"}) == "RuntimeError: no"
    assert attempts.verdict(5, {"here"}) is None
    attempts.failed(5, "worker process died", died_on="here")
    assert attempts.verdict(5, {"here"}) == "worker process died"
    attempts.forget(5)
    assert attempts.verdict(5, {"here"}) is None
