"""A pool of Ray actors that expects them to die."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import ray
from ray.exceptions import RayError
from ray.util import get_node_ip_address

from datagen.farm.attempts import WORKER_DIED
from datagen.farm.plan import Assemble, Render, Work
from datagen.farm.worker import Assignment, Outcome, Start, Verdict, Worker
from manifests.errors import UserError

_STARTS = 32
"""Actors on their way at a time: those that the cluster has no room for yet cost nothing but a place here."""

_FAILED_STARTS = 10
"""So many actors in a row that died before they were ready, and none that was: the machine is at fault."""

_LONGEST_END_S = 10.0
"""A process that the kernel holds longer, for a disk that does not answer, is not waited for."""


@dataclass(eq=False)
class _Slot:
    actor: Any
    node: str = ""
    address: str = ""
    pid: int = 0
    work: Work | None = None
    since: float = 0.0
    error: str = WORKER_DIED


@dataclass(frozen=True)
class Done:
    """A worker answered."""

    work: Work
    outcome: Outcome


@dataclass(frozen=True)
class Died:
    """A worker's process is gone, and the work in its hands is not done."""

    work: Work
    node: str
    error: str


@dataclass
class Pool:
    """Up to `size` workers. Only a worker that has said it is ready gets work, so that one the cluster
    cannot place holds nothing up; one that died is replaced when there is work for it."""

    assignment: Assignment
    size: int
    resources: dict[str, float]
    longest_s: float
    """A worker that takes longer over one piece of work hangs, and is killed."""
    _starting: dict[Any, _Slot] = field(default_factory=dict)
    _busy: dict[Any, _Slot] = field(default_factory=dict)
    _idle: list[_Slot] = field(default_factory=list)
    _failed_starts: int = 0

    def __post_init__(self) -> None:
        # Restarts are the pool's own business: Ray would restart without asking whose fault it was.
        options = {"max_restarts": 0, "max_task_retries": 0, **self.resources}
        self._actor: Any = ray.remote(Worker).options(**options)

    @property
    def workers(self) -> int:
        """Workers that are ready."""
        return len(self._busy) + len(self._idle)

    @property
    def idle(self) -> bool:
        return bool(self._idle)

    def hire(self, wanted: int) -> None:
        """Start workers until there are `wanted`, or `size`, or as many starting as may be."""
        wanted = min(wanted, self.size) - self.workers - len(self._starting)
        for _ in range(min(wanted, _STARTS - len(self._starting))):
            actor = self._actor.remote(self.assignment)
            self._starting[actor.ready.remote()] = _Slot(actor)

    def assign(self, work: Work) -> None:
        """Give work to an idle worker."""
        slot = self._idle.pop()
        slot.work, slot.since = work, time.monotonic()
        match work:
            case Render(clip):
                answer = slot.actor.render.remote(clip)
            case Assemble(shard):
                answer = slot.actor.assemble.remote(shard)
        self._busy[answer] = slot

    def wait(self, seconds: float) -> Iterator[Done | Died]:
        """What happened, once something did or the time is up.

        Raises UserError if workers cannot start.
        """
        self._kill_hanging()
        answers = [*self._busy, *self._starting]
        if not answers:
            return
        ready, _ = ray.wait(answers, num_returns=1, timeout=seconds)
        if ready:  # others may have come by now; take them too, as a wait costs time with many workers
            ready, _ = ray.wait(answers, num_returns=len(answers), timeout=0)
        for answer in ready:
            if answer in self._starting:
                self._started(answer)
            else:
                yield self._answered(answer)

    def close(self) -> None:
        """End all workers at once, whatever they are doing; those of this machine are gone on return."""
        slots = [*self._starting.values(), *self._busy.values(), *self._idle]
        for slot in slots:
            _kill(slot)
        _wait_for_ends(slots)
        self._starting.clear()
        self._busy.clear()
        self._idle.clear()

    def _kill_hanging(self) -> None:
        now = time.monotonic()
        for slot in self._busy.values():
            if now - slot.since > self.longest_s:
                slot.error = f"no end after {self.longest_s:g} s"
                _kill(slot)  # and so its answer will be that it died

    def _started(self, answer: Any) -> None:
        slot = self._starting.pop(answer)
        try:
            start: Start = ray.get(answer)
        except RayError as error:
            _kill(slot)
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                reason = " ".join(str(error).split())[-300:]
                raise UserError(f"workers die before they are ready: {reason}") from None
            return
        if start.outcome.verdict is not Verdict.DONE:
            raise UserError(start.outcome.error)
        slot.node, slot.address, slot.pid = start.node, start.address, start.pid
        self._failed_starts = 0
        self._idle.append(slot)

    def _answered(self, answer: Any) -> Done | Died:
        slot = self._busy.pop(answer)
        work, slot.work = slot.work, None
        assert work is not None
        try:
            outcome: Outcome = ray.get(answer)
        except RayError:
            _kill(slot)
            return Died(work, slot.node, slot.error)
        if outcome.worn:
            _kill(slot)
        else:
            self._idle.append(slot)
        return Done(work, outcome)


def _kill(slot: _Slot) -> None:
    ray.kill(slot.actor, no_restart=True)


def _wait_for_ends(slots: list[_Slot]) -> None:
    """Ray says that an actor is dead some 20 ms before its process is, time enough to begin another file."""
    if not any(slot.pid for slot in slots):
        return
    here = get_node_ip_address()
    processes = []
    for slot in slots:
        if slot.pid and slot.address == here:
            with contextlib.suppress(psutil.NoSuchProcess):
                processes.append(psutil.Process(slot.pid))
    psutil.wait_procs(processes, timeout=_LONGEST_END_S)
