"""The driver: a corpus from its configuration, by many workers, in any number of runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from datagen.farm import cluster, progress
from datagen.farm.attempts import Attempts
from datagen.farm.cluster import Cluster
from datagen.farm.interrupt import Interrupted, Stop, stop_on_signals
from datagen.farm.plan import Assemble, Plan, Render
from datagen.farm.pool import Died, Done, Pool
from datagen.farm.prepare import prepare, tidy
from datagen.farm.progress import Reporter, Show
from datagen.farm.worker import Assignment, Outcome, Verdict
from datagen.heads.travel import PackedHead
from manifests import runlog, spool
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, check_output
from manifests.errors import UserError
from manifests.layout import MANIFEST, SHARDS, SPOOL
from manifests.manifest import SHARDS_PER_FILE, compact
from manifests.spool import Spool
from manifests.storage import Storage

_WAIT_S = 0.5

_HOPELESS = 10
"""So many clips given up and none ever rendered: it is not the clips."""


class RenderDevice(Protocol):
    @property
    def device(self) -> str: ...


class FarmConfig(Protocol):
    """What the driver reads of a corpus configuration."""

    @property
    def name(self) -> str: ...
    @property
    def clips(self) -> int: ...
    @property
    def clips_per_shard(self) -> int: ...
    @property
    def render(self) -> RenderDevice: ...
    def to_json(self) -> str: ...


@dataclass(frozen=True)
class FarmSettings:
    """How work is done; nothing here shapes a byte of the corpus."""

    max_attempts: int = 3
    """A clip that failed this often is given up."""
    clips_per_worker: int = 500
    """A worker process is replaced after this many."""
    worker_memory_gb: float = 6.0
    """Or once its resident memory has passed this."""
    clip_timeout_s: float = 86400.0
    """A clip, or a shard's assembly, that takes longer counts as failed: no worker may hang for ever."""


@dataclass(frozen=True)
class RunReport:
    """What a run that came to its end leaves behind."""

    out: str
    clips: int
    shards: int
    rendered: int
    """In this run; the others were there."""
    quarantined: int
    """In this run."""
    failures: int
    """Failed attempts in this run."""


def generate(
    config: FarmConfig,
    out: str,
    *,
    config_hash: str,
    workers: int | None = None,
    address: str | None = None,
    pipeline: str | type = "datagen.pipeline:Pipeline",
    settings: FarmSettings = FarmSettings(),
    software: Mapping[str, str] | None = None,
    head: PackedHead | None = None,
) -> RunReport:
    """Make the corpus in the folder or URL `out`, or go on with it, or add clips to it.

    `config_hash` covers what shapes the clips, their number left out. `workers` is one a CPU of the cluster,
    or one a GPU, unless given; `address` is that of a Ray cluster, or None for this machine. `pipeline` is a
    class of `ClipPipeline`, or ``module:Class``. `software` names the versions of what shapes the bytes, which
    all workers and all runs must share. `head` travels to the workers, which then need not have the
    configuration's head in a cache of their own.

    Raises UserError for what a user can mend, with nothing damaged; Interrupted on Ctrl-C or SIGTERM. After
    either the same call goes on where this one stopped, as it does after any crash.
    """
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: needs to be 1 or more")
    corpus = Corpus(
        format_version=FORMAT_VERSION,
        name=config.name,
        clips=config.clips,
        clips_per_shard=config.clips_per_shard,
        config_hash=config_hash,
        config=json.loads(config.to_json()),
        software=dict(software or {}),
    )
    storage = Storage(out)
    assignment = Assignment(
        config_json=config.to_json(),
        config_hash=config_hash,
        out=storage.url,
        layout=corpus.layout,
        pipeline=pipeline if isinstance(pipeline, str) else f"{pipeline.__module__}:{pipeline.__qualname__}",
        clips_per_worker=settings.clips_per_worker,
        worker_memory_bytes=int(settings.worker_memory_gb * 1e9),
        software=corpus.software,
    )
    try:
        with stop_on_signals() as stop:
            with storage.problems():
                check_output(storage, corpus)
            with cluster.connect(address, workers, config.render.device) as farm, storage.lock():
                if head is not None:
                    assignment = dataclasses.replace(assignment, head=farm.share(head))
                with storage.problems():
                    committed = prepare(storage, corpus)
                    run = _Run(storage, assignment, farm, settings, committed)
                return run.run(stop)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; the same command goes on with {storage.url}") from None


class _Run:
    """One run over a folder that `prepare` has put in order."""

    def __init__(
        self,
        storage: Storage,
        assignment: Assignment,
        farm: Cluster,
        settings: FarmSettings,
        committed: bytearray,
    ) -> None:
        self._storage = storage
        self._layout = assignment.layout
        self._farm = farm
        self._pool = Pool(assignment, farm.workers, farm.resources, settings.clip_timeout_s)
        self._clip_attempts = Attempts(settings.max_attempts)
        self._shard_attempts = Attempts(settings.max_attempts)
        self._plan = Plan(self._layout, committed, self._read_spool)
        self._reporter = Reporter(storage, self._layout.clips, self._plan.done)
        self._rendered = 0
        self._ever_rendered = any(committed) or any(
            spool.read_spool(storage, self._layout, shard).rendered for shard in spool.spooled_shards(storage)
        )

    def run(self, stop: Stop) -> RunReport:
        state = runlog.FAILED
        try:
            with progress.display() as show, stop.at_checks_only():
                self._work(show, stop)
            self._pool.close()
            with self._storage.problems():
                compact(self._storage, self._layout)
                self._storage.delete_folder(SPOOL)
            state = runlog.FINISHED
        except KeyboardInterrupt:
            state = runlog.INTERRUPTED
            raise
        finally:
            self._pool.close()
            self._reporter.end(state)
            tidy(self._storage)
        record = self._reporter.record
        return RunReport(
            out=self._storage.url,
            clips=self._layout.clips,
            shards=self._layout.shards,
            rendered=self._rendered,
            quarantined=record.quarantined,
            failures=record.failures,
        )

    def _work(self, show: Show, stop: Stop) -> None:
        while not self._plan.finished:
            stop.check()
            self._pool.hire(self._plan.left)
            self._hand_out()
            for event in self._pool.wait(_WAIT_S):
                match event:
                    case Done(Render(clip), outcome):
                        self._clip_answered(clip, outcome)
                    case Done(Assemble(shard), outcome):
                        self._shard_answered(shard, outcome)
                    case Died(Render(clip), node, error):
                        self._clip_failed(clip, error, node)
                    case Died(Assemble(shard), node, error):
                        self._shard_failed(shard, error, node)
            self._reporter.tick(self._plan.done, self._pool.workers)
            show(self._reporter)

    def _hand_out(self) -> None:
        with self._storage.problems():
            while self._pool.idle and (work := self._plan.next()):
                self._pool.assign(work)

    def _clip_answered(self, clip: int, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.RUN_FAILED:
            raise UserError(outcome.error)
        if outcome.verdict is Verdict.CLIP_FAILED:
            self._clip_failed(clip, outcome.error)
            return
        self._clip_attempts.forget(clip)
        self._rendered += 1
        self._ever_rendered = True
        self._plan.clip_done(clip)

    def _clip_failed(self, clip: int, error: str, node: str | None = None) -> None:
        self._reporter.failed(f"{self._layout.key(clip)}: {error}")
        self._clip_attempts.failed(clip, error, node)
        final = self._clip_attempts.verdict(clip, self._farm.alive_nodes())
        if final is None:
            self._plan.put_back(Render(clip))
            return
        with self._storage.problems():
            spool.write_error(self._storage, self._layout, clip, final)
        self._clip_attempts.forget(clip)
        self._reporter.quarantined()
        self._plan.clip_done(clip)
        self._stop_if_hopeless(final)

    def _shard_answered(self, shard: int, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.RUN_FAILED:
            raise UserError(outcome.error)
        if outcome.verdict is Verdict.DAMAGED:
            self._plan.clip_lost(outcome.clip)
            return
        self._shard_attempts.forget(shard)
        self._plan.shard_done(shard)
        first = shard // SHARDS_PER_FILE * SHARDS_PER_FILE
        group = range(first, first + SHARDS_PER_FILE)
        if group.stop <= self._layout.shards and self._plan.all_committed(group):
            with self._storage.problems():
                compact(self._storage, self._layout)

    def _shard_failed(self, shard: int, error: str, node: str) -> None:
        self._shard_attempts.failed(shard, error, node)
        final = self._shard_attempts.verdict(shard, self._farm.alive_nodes())
        if final is not None:
            path = self._layout.shard_path(shard)
            remedy = "give each worker more memory, and see that the storage answers"
            raise UserError(f"{path}: cannot be assembled ({final}); {remedy}")
        self._plan.put_back(Assemble(shard))

    def _stop_if_hopeless(self, error: str) -> None:
        """When nothing has ever come out, the fault lies with the machine or the configuration: leave no
        corpus of nothing but quarantined clips behind."""
        given_up = self._reporter.record.quarantined
        enough = min(max(_HOPELESS, 2 * self._farm.workers), self._layout.clips)
        if self._ever_rendered or given_up < enough:
            return
        self._pool.close()
        for folder in (MANIFEST, SHARDS, SPOOL):
            self._storage.delete_folder(folder)
        raise UserError(f"all of the first {given_up} clips failed, and none was rendered: {error}")

    def _read_spool(self, shard: int) -> Spool:
        return spool.read_spool(self._storage, self._layout, shard)
