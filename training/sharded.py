"""Fully sharded training: every rank keeps a part of each weight, and fetches a block when it is due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.strategies import ModelParallelStrategy, StrategyRegistry
from torch.distributed.fsdp import fully_shard

from training.dit import ConditionedTransformer
from training.portrait import read_checkpoint


class Sharded(ModelParallelStrategy):
    """PyTorch's FSDP2 over all devices of all nodes: ``trainer.strategy: sharded``.

    Lightning's own ``fsdp`` is the first FSDP, which refuses CPUs; this one can be tried anywhere. Source: Zhao et al.,
    "PyTorch FSDP", 2023. ``one_file`` gathers a checkpoint on the first rank, so that any number of ranks, or none,
    reads it; without it each rank writes its part into a folder, which is quicker at 14 billion weights.
    """

    def __init__(self, one_file: bool = True, process_group_backend: str | None = None) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=not one_file,
            process_group_backend=process_group_backend,
        )

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Lightning reads sharded weights before the module has seen whose they are: let it see first."""
        path = Path(checkpoint_path)
        if path.is_file() and self.lightning_module is not None:
            self.lightning_module.on_load_checkpoint(read_checkpoint(path))
        loaded: dict[str, Any] = super().load_checkpoint(checkpoint_path, weights_only=True)
        return loaded

    def setup_environment(self) -> None:
        """By default Lightning shards over nodes alone."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


StrategyRegistry.register("sharded", Sharded, description="FSDP2 over all devices of all nodes")


def shard(transformer: ConditionedTransformer, mesh: Any) -> None:
    """Shard its blocks, and what is around them, over the mesh's ``data_parallel`` axis, in place."""
    across = mesh["data_parallel"]
    for block in transformer.blocks:
        fully_shard(block, mesh=across)
    # The root as well is given back after a forward: the average's has no way back that would do it.
    fully_shard(transformer, mesh=across, reshard_after_forward=True)
