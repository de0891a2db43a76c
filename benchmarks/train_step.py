"""What a training step costs beside the bare transformer: ours on a batch of samples' latents, against diffusers' own
`WanTransformer3DModel` of the same size and tokens on random tensors. Both with AdamW and clipping; alternating, in one
run. The goal is 1.10.

    python -m benchmarks.train_step [--sizes tiny 100m] [--rounds 8]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from diffusers import WanTransformer3DModel

import training.configs
from training.codec.patches import fit_patches, save_patches
from training.conditioning import Conditions, expression_channels
from training.dit import TransformerSettings
from training.encode import Encoded
from training.expression.cnn import CnnEncoder, CnnSizes, save_cnn
from training.flow import FlowSettings
from training.module import PortraitModule

GOAL = 1.10


@dataclass(frozen=True)
class Case:
    settings: TransformerSettings
    batch: int
    slots: int
    edge: int
    steps: int


TINY = yaml.safe_load((Path(training.configs.__file__).parent / "tiny.yaml").read_text())
CASES = {
    "tiny": Case(TransformerSettings(**TINY["model"]["transformer"]), TINY["data"]["batch_size"], 5, 8, 4),
    "100m": Case(TransformerSettings(12, 12, 64, 3072, 2, 512), 1, 5, 16, 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    for name in arguments.sizes:
        compare(name, CASES[name], arguments.rounds)


def compare(name: str, case: Case, rounds: int) -> None:
    ours, weights = portrait_step(case)
    bare = bare_step(case)
    for step in (ours, bare):  # buffers and kernels are chosen at the first
        step()
    ratios, times = [], []
    for _ in range(rounds):
        pair = [clock(step, case.steps) for step in (ours, bare)]
        times.append(pair)
        ratios.append(pair[0] / pair[1])
    mine, theirs = (statistics.median(pair[k] for pair in times) for k in (0, 1))
    ratio, tokens = statistics.median(ratios), (case.slots + 1) * (case.edge // case.settings.patch) ** 2
    print(
        f"{name}: {weights / 1e6:.1f} M weights, {case.batch} x {tokens} tokens: "
        f"ours {mine * 1e3:.0f} ms, bare transformer {theirs * 1e3:.0f} ms, ratio {ratio:.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}), goal {GOAL:.2f}: {'held' if ratio <= GOAL else 'MISSED'}"
    )


def clock(step: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def portrait_step(case: Case) -> tuple[Callable[[], None], int]:
    """Times, noise, dropout of conditions, rows, forward, loss, backward, clipping, optimiser and average."""
    with tempfile.TemporaryDirectory() as folder:
        noise = torch.rand(64, 3, 8, 8) * 2 - 1
        save_patches(fit_patches([(noise, noise)], 64), Path(folder) / "codec")
        sizes = CnnSizes()
        save_cnn(CnnEncoder(sizes, sizes.network(), ()), Path(folder) / "expression")
        module = PortraitModule(
            f"{folder}/codec", f"{folder}/expression", transformer=case.settings, flow=FlowSettings("sample")
        )
    module.configure_model()
    optimiser = torch.optim.AdamW([weight for weight in module.transformer.parameters() if weight.requires_grad])
    batch = encoded(module, case)
    done = 0

    def step() -> None:
        nonlocal done
        loss = module.losses(batch, module.generators(case.batch)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.transformer.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        done += 1
        module.samples_seen += case.batch
        module.follow(done)

    return step, sum(weight.numel() for weight in module.transformer.parameters())


def encoded(module: PortraitModule, case: Case) -> Encoded:
    codec, code = module.encode.codec, module.encode.expression.code_size
    shape = (case.batch, codec.channels, case.slots, case.edge, case.edge)
    return Encoded(
        key=("random",) * case.batch,
        latents=torch.randn(shape),
        conditions=Conditions(
            reference=torch.randn(shape[0], shape[1], *shape[3:]),
            pose=torch.randn(shape),
            camera=torch.randn(case.batch, 6 * codec.temporal_stride, *shape[2:]),
            expression=torch.randn(case.batch, case.slots + 1, expression_channels(codec, code)),
        ),
        weight=torch.ones(case.batch, 1, *shape[2:]),
    )


def bare_step(case: Case) -> Callable[[], None]:
    """diffusers' transformer of the same width, depth, channels and tokens, and, as ours, without text."""
    size = case.settings
    codec_channels = 64
    model = WanTransformer3DModel(
        patch_size=(1, size.patch, size.patch),
        num_attention_heads=size.heads,
        attention_head_dim=size.head_dim,
        in_channels=3 * codec_channels + 6,
        out_channels=codec_channels,
        text_dim=size.text_dim,
        freq_dim=size.freq_dim,
        ffn_dim=size.ffn_dim,
        num_layers=size.layers,
    )
    optimiser = torch.optim.AdamW(model.parameters())
    rows = torch.randn(case.batch, 3 * codec_channels + 6, case.slots + 1, case.edge, case.edge)
    wanted = torch.randn(case.batch, codec_channels, case.slots + 1, case.edge, case.edge)
    times, text = torch.rand(case.batch) * 1000, torch.zeros(case.batch, 0, size.text_dim)

    def step() -> None:
        loss = (model(rows, times, text, return_dict=False)[0] - wanted).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


if __name__ == "__main__":
    main()
