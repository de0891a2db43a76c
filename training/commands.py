"""The commands of training. The front door adds them to its own; each imports what it needs when it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from manifests.errors import UserError
from training.animation_commands import add_animation_commands

_TINY = Path(__file__).parent / "configs" / "tiny.yaml"


def add_commands(commands: Any) -> None:
    """Add `train`, `cache-latents` and those of animation to the subparsers ``commands``."""
    train = commands.add_parser("train", help="train the model, its codec or its expression encoder; report on it")
    actions = train.add_subparsers(dest="action", required=True, metavar="ACTION")

    actions.add_parser("fit", help="train the transformer: --config FILE, and what overrides it; --help for all")

    codec = _action(actions, "codec", "fit a video codec to a corpus, for machines without a pre-trained one", _codec)
    codec.add_argument("--kind", choices=("patches", "wan"), default="patches", help="components, or an autoencoder")
    codec.add_argument("--frames", type=int, default=5, metavar="T", help="frames of a window (4k + 1 for wan)")
    codec.add_argument("--channels", type=int, metavar="C", help="of the latents (default: 64, and 8 for wan)")
    codec.add_argument("--steps", type=int, default=2000, metavar="N", help="of the autoencoder's training")
    codec.add_argument("--device", default="cpu")
    codec.add_argument("--seed", type=int, default=0)

    expression = _action(actions, "expression", "train the expression encoder on a corpus", _expression)
    expression.add_argument("--steps", type=int, metavar="N", help="optimiser steps (default 4000)")
    expression.add_argument("--code-size", type=int, metavar="D", help="numbers of a code (default 32)")
    expression.add_argument(
        "--kind", choices=("learnt", "landmarks"), default="learnt", help="a network, or landmarks in its place"
    )
    expression.add_argument("--report", action="store_true", help="also say what codes tell, and what not")
    expression.add_argument("--device", default="cpu")
    expression.add_argument("--seed", type=int, default=0)

    landmarks = _action(
        actions, "landmarks", "train a landmark detector on a corpus, for pictures of faces", _landmarks
    )
    landmarks.add_argument("--steps", type=int, metavar="N", help="optimiser steps (default 3000)")
    landmarks.add_argument("--device", default="cpu")
    landmarks.add_argument("--seed", type=int, default=0)

    identity = _action(actions, "identity", "train an identity encoder on a corpus, to judge likeness by", _identity)
    identity.add_argument("--steps", type=int, metavar="N", help="optimiser steps (default 2000)")
    identity.add_argument("--report", action="store_true", help="also say whether it tells unseen people apart")
    identity.add_argument("--device", default="cpu")
    identity.add_argument("--seed", type=int, default=0)

    report = _action(actions, "report", "swap tests of a trained model on people never seen, with a sheet", _report)
    report.add_argument("--model", required=True, metavar="DIR", help="the model folder of a fit")
    report.add_argument("--split", default="test")
    report.add_argument("--subset", metavar="LIST", help="clips of a list that `select` wrote")
    report.add_argument("--clips", type=int, default=48, metavar="N")
    report.add_argument("--frames", type=int, metavar="T", help="frames of a window (default: as trained)")
    report.add_argument("--step", type=int, metavar="T", help="frames from one of a window to its next (as trained)")
    report.add_argument("--device", default="cpu")
    report.add_argument("--seed", type=int, default=0)

    ablations = _action(actions, "ablations", "train without each part of the method, and compare", _ablations)
    ablations.add_argument("--config", default=str(_TINY), metavar="FILE")
    ablations.add_argument("--codec", required=True, metavar="DIR")
    ablations.add_argument("--expression", required=True, metavar="DIR")
    ablations.add_argument("--only", nargs="+", metavar="NAME", help="some of them (default: all)")
    ablations.add_argument("--split", default="test")
    ablations.add_argument("--device", default="cpu", help="of the reports; the trainings' is trainer.accelerator")
    ablations.add_argument("--clips", type=int, default=48, metavar="N")
    ablations.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="as trainer.max_steps=500, for all"
    )

    export = actions.add_parser("export", help="a checkpoint's averaged model as a folder")
    export.add_argument("checkpoint", metavar="CHECKPOINT")
    export.add_argument("--out", required=True, metavar="DIR")
    export.add_argument("--landmarks", metavar="DIR", help="a detector to go with it, as `train landmarks` makes it")
    export.set_defaults(run=_export)

    cache = commands.add_parser(
        "cache-latents",
        help="latents of a corpus as shards, so that training need not encode",
        description="The same command goes on where it stopped, and does what is missing when the corpus has grown.",
    )
    cache.add_argument("corpus", metavar="CORPUS", help="folder or URL of a corpus")
    cache.add_argument("--out", required=True, metavar="DIR_OR_URL")
    cache.add_argument("--codec", required=True, metavar="DIR")
    cache.add_argument("--expression", metavar="DIR", help="also hold the expression codes of every frame")
    cache.add_argument("--split", metavar="NAME", help="one split alone (default: all)")
    cache.add_argument("--frames", type=int, metavar="T", help="frames of a window (default: as many as clips have)")
    cache.add_argument("--stride", type=int, metavar="T", help="frames from one window's start to the next's")
    cache.add_argument("--step", type=int, default=1, metavar="T", help="frames from one of a window to its next")
    cache.add_argument("--workers", type=int, metavar="N", help="local Ray workers (default: this process)")
    cache.add_argument("--address", metavar="ADDR", help="an existing Ray cluster")
    cache.add_argument("--device", default="cpu")
    cache.set_defaults(run=_cache)
    add_animation_commands(commands)


def _action(actions: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    action.add_argument("corpus", metavar="CORPUS", help="folder or URL of a corpus")
    action.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    action.set_defaults(run=run)
    return action


def _codec(arguments: argparse.Namespace) -> None:
    from training.codec.fit import fit_codec
    from training.codec.settings import CodecSettings
    from training.progress import display

    settings = CodecSettings(
        kind=arguments.kind,
        frames=arguments.frames,
        channels=arguments.channels,
        steps=arguments.steps,
        device=arguments.device,
        seed=arguments.seed,
    )
    with display() as progress:
        made = fit_codec(arguments.corpus, arguments.out, settings, progress)
    print(made)


def _expression(arguments: argparse.Namespace) -> None:
    from training.expression.cnn import CnnSizes
    from training.expression.fit import fit_expression
    from training.expression.points import fit_points
    from training.expression.settings import ExpressionSettings
    from training.progress import display

    if arguments.kind == "landmarks":
        if arguments.report:
            raise UserError("--report: is of codes of pictures; leave it out, or train a learnt encoder")
        with display() as progress:
            size = arguments.code_size or CnnSizes().code_size
            fit_points(arguments.corpus, arguments.out, size, seed=arguments.seed, progress=progress)
        print(f"{arguments.out}: {size} numbers of landmarks")
        return
    given = _given(arguments)
    if arguments.code_size is not None:
        given["sizes"] = CnnSizes(code_size=arguments.code_size)
    with display() as progress:
        print(fit_expression(arguments.corpus, arguments.out, ExpressionSettings(**given), progress=progress))
        if arguments.report:
            _expression_report(arguments, progress)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Settings of a training that were given, and no others."""
    names = ("steps", "device", "seed")
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def _expression_report(arguments: argparse.Namespace, progress: Any) -> None:
    from training.expression.load import load_encoder
    from training.expression.report import report_and_sheet

    report, sheet = report_and_sheet(load_encoder(arguments.out), arguments.corpus, progress=progress)
    _write_beside(arguments.out, report, sheet)


def _landmarks(arguments: argparse.Namespace) -> None:
    from training.landmarks.fit import fit_landmarks
    from training.landmarks.load import load_detector
    from training.landmarks.report import report_landmarks
    from training.landmarks.settings import LandmarkSettings
    from training.progress import display

    given = _given(arguments)
    with display() as progress:
        print(fit_landmarks(arguments.corpus, arguments.out, LandmarkSettings(**given), progress))
        detector = load_detector(arguments.out).to(arguments.device)
        report, sheet = report_landmarks(detector, arguments.corpus, progress=progress)
    _write_beside(arguments.out, report, sheet)


def _identity(arguments: argparse.Namespace) -> None:
    from training.identity.cnn import load_identity
    from training.identity.fit import fit_identity
    from training.identity.report import report_identity
    from training.identity.settings import IdentitySettings
    from training.progress import display

    given = _given(arguments)
    with display() as progress:
        print(fit_identity(arguments.corpus, arguments.out, IdentitySettings(**given), progress))
        if not arguments.report:
            return
        report = report_identity(
            load_identity(arguments.out), arguments.corpus, device=arguments.device, progress=progress
        )
    _write_beside(arguments.out, report)


def _write_beside(out: str, report: Any, sheet: Any = None) -> None:
    """A model's report as OUT-report.md, .json and perhaps .png."""
    folder = Path(out)
    folder.with_name(f"{folder.name}-report.md").write_text(report.to_markdown())
    folder.with_name(f"{folder.name}-report.json").write_text(report.to_json())
    if sheet is not None:
        sheet.save(folder.with_name(f"{folder.name}-report.png"))
    print(report.to_markdown())


def _report(arguments: argparse.Namespace) -> None:
    from training.progress import display
    from training.report import report_swaps

    with display() as progress:
        report = report_swaps(
            arguments.model,
            arguments.corpus,
            arguments.out,
            split=arguments.split,
            subset=arguments.subset,
            clips=arguments.clips,
            frames=arguments.frames,
            step=arguments.step,
            seed=arguments.seed,
            device=arguments.device,
            progress=progress,
        )
    print(report.to_markdown())
    print(f"sheet  {Path(arguments.out) / 'swaps.png'}")


def _ablations(arguments: argparse.Namespace) -> None:
    from training.ablations import ABLATIONS, ablate, to_markdown
    from training.progress import display

    overrides = []
    for word in arguments.set:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UserError(f"--set {word!r}: sets nothing; write KEY=VALUE, as trainer.max_steps=500")
        overrides += [f"--{name}", value]
    rows = ablate(
        arguments.config,
        arguments.corpus,
        arguments.codec,
        arguments.expression,
        arguments.out,
        only=arguments.only or tuple(ABLATIONS),
        overrides=overrides,
        split=arguments.split,
        clips=arguments.clips,
        device=arguments.device,
        show=display,
    )
    print(to_markdown(rows))


def _export(arguments: argparse.Namespace) -> None:
    from training.portrait import export_portrait

    print(export_portrait(arguments.checkpoint, arguments.out, arguments.landmarks))


def _cache(arguments: argparse.Namespace) -> None:
    from training.latents.cache import cache_latents
    from training.progress import display

    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers: {arguments.workers} given; give at least 1")
    with display() as progress:
        made = cache_latents(
            arguments.corpus,
            arguments.out,
            codec=arguments.codec,
            expression=arguments.expression,
            split=arguments.split,
            frames=arguments.frames,
            stride=arguments.stride,
            step=arguments.step,
            workers=arguments.workers,
            address=arguments.address,
            device=arguments.device,
            progress=progress,
        )
    print(made)
