"""The commands of animation; each imports what it needs when it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from manifests.errors import UserError, require


def add_animation_commands(commands: Any) -> None:
    """Add `animate`, `track`, `track-report`, `evaluate`, `independence` and `app` to the subparsers ``commands``."""
    animate = commands.add_parser(
        "animate",
        help="a portrait with the expressions, head poses and camera of others, as a video",
        description="Clips are named CORPUS:KEY.v00, a frame of one CORPUS:KEY.v00[0]; recordings are .npz files.",
    )
    animate.add_argument("--checkpoint", required=True, metavar="DIR", help="the model folder of a fit or an export")
    animate.add_argument("--portrait", required=True, metavar="PICTURE", help="a picture, or a frame of a clip")
    animate.add_argument("--driving", required=True, metavar="CLIP", help="a clip, a video or a recording")
    animate.add_argument("--landmarks", metavar="DIR", help="finds faces in pictures and videos (default: the model's)")
    animate.add_argument("--expression", metavar="CLIP", help="whose expressions, if not the driver's")
    animate.add_argument("--pose", metavar="CLIP", help="whose head poses, if not the driver's")
    animate.add_argument(
        "--camera", default="front", metavar="CAM", help="front, turntable, spiral, a clip, or a .json of key poses"
    )
    animate.add_argument("--out", required=True, metavar="FILE", help="the video, an .mp4")
    animate.add_argument("--side-by-side", metavar="FILE", help="a second video with all of them beside the result")
    animate.add_argument("--frames", type=int, metavar="T", help="length (default: as long as the expressions go on)")
    animate.add_argument(
        "--guidance", nargs="+", default=[], metavar="NAME=SCALE", help="exaggerate a condition, as expression=2"
    )
    animate.add_argument("--steps", type=int, metavar="N", help="of sampling (default: the model's)")
    animate.add_argument("--scheduler", choices=("euler", "unipc"), help="(default: the model's)")
    animate.add_argument("--overlap", type=int, metavar="T", help="frames that windows share")
    animate.add_argument("--seed", type=int, default=0)
    animate.add_argument("--device", default="cpu")
    animate.set_defaults(run=_animate)

    track = commands.add_parser(
        "track",
        help="the motion of a face in a video, as a recording",
        description="A recording drives `animate`, or the heads of a corpus (motion.recordings).",
    )
    track.add_argument("video", metavar="VIDEO")
    track.add_argument("--landmarks", required=True, metavar="DIR", help="a detector, as `train landmarks` makes it")
    track.add_argument("--out", required=True, metavar="FILE", help="the recording, an .npz")
    track.add_argument("--overlay", metavar="FILE", help="a video of what was found and fitted")
    track.add_argument("--head", default="open", metavar="NAME", help="the head that is fitted")
    track.add_argument("--focal-length-mm", type=float, metavar="F", help="of the camera (default: fitted, near 50)")
    track.add_argument(
        "--most-missing", type=float, default=1.0, metavar="S", help="seconds without a face that are carried over"
    )
    track.add_argument("--device", default="cpu")
    track.set_defaults(run=_track)

    evaluate = commands.add_parser(
        "evaluate",
        help="figures of a model on a corpus's clips, and a page with the videos",
        description="self: a view drives its own first frame. novel-view: another view is the portrait and shows the "
        "expression. cross: another clip drives.",
    )
    evaluate.add_argument("--checkpoint", required=True, metavar="DIR", help="the model folder of a fit or an export")
    evaluate.add_argument("--corpus", required=True, metavar="CORPUS", help="folder or URL of a corpus")
    evaluate.add_argument("--protocol", required=True, choices=("self", "cross", "novel-view"))
    evaluate.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    evaluate.add_argument("--landmarks", metavar="DIR", help="finds faces, for expression, head pose and camera")
    evaluate.add_argument("--identity", metavar="DIR", help="tells people apart; of `train identity`")
    evaluate.add_argument("--lpips", metavar="FILE", help="AlexNet's weights, for LPIPS")
    evaluate.add_argument("--features", metavar="DIR", help="a transformers folder, for the Fréchet distance")
    evaluate.add_argument("--split", default="test")
    evaluate.add_argument("--subset", metavar="LIST", help="clips of a list that `select` wrote")
    evaluate.add_argument("--clips", type=int, default=24, metavar="N")
    evaluate.add_argument("--frames", type=int, metavar="T", help="of each clip (default: the model's window)")
    evaluate.add_argument("--steps", type=int, metavar="N", help="of sampling (default: the model's)")
    evaluate.add_argument("--guidance", nargs="+", default=[], metavar="NAME=SCALE", help="as expression=2")
    evaluate.add_argument("--seed", type=int, default=0)
    evaluate.add_argument("--device", default="cpu")
    evaluate.set_defaults(run=_evaluate)

    app = commands.add_parser(
        "app", help="a local web page: upload a portrait, choose a driver, drag the camera, see the video"
    )
    app.add_argument("--checkpoint", required=True, metavar="DIR", help="the model folder of a fit or an export")
    app.add_argument("--landmarks", metavar="DIR", help="finds faces in pictures and videos (default: the model's)")
    app.add_argument("--corpus", metavar="CORPUS", help="whose clips to choose from")
    app.add_argument("--split", default="test")
    app.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    app.add_argument("--no-open", action="store_true", help="print the address, open no browser")
    app.add_argument("--device", default="cpu")
    app.set_defaults(run=_app)

    independence = commands.add_parser(
        "independence",
        help="what each condition moves in a model's videos, and what it should not",
        description="One of expression, head pose and camera is changed, the others stay.",
    )
    independence.add_argument("--checkpoint", required=True, metavar="DIR", help="the model folder of a fit")
    independence.add_argument("--corpus", required=True, metavar="CORPUS", help="folder or URL of a corpus")
    independence.add_argument("--landmarks", required=True, metavar="DIR", help="finds faces; of `train landmarks`")
    independence.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    independence.add_argument("--split", default="test")
    independence.add_argument("--clips", type=int, default=12, metavar="N")
    independence.add_argument("--seed", type=int, default=0)
    independence.add_argument("--device", default="cpu")
    independence.set_defaults(run=_independence)

    report = commands.add_parser(
        "track-report",
        help="how far off tracking is on a corpus's clips",
        description="Tracks clips as if they were any video, and compares with the heads and cameras that made them.",
    )
    report.add_argument("corpus", metavar="CORPUS", help="folder or URL of a corpus")
    report.add_argument("--landmarks", required=True, metavar="DIR", help="a detector, as `train landmarks` makes it")
    report.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    report.add_argument("--split", default="test")
    report.add_argument("--clips", type=int, default=24, metavar="N")
    report.add_argument("--focal-known", action="store_true", help="take the cameras' focal lengths as known")
    report.add_argument("--device", default="cpu")
    report.set_defaults(run=_track_report)


def _animate(arguments: argparse.Namespace) -> None:
    from training.animation.animate import animate
    from training.animation.shot import AnimationSettings
    from training.device import check_device
    from training.landmarks.load import load_detector
    from training.portrait import load_portrait
    from training.progress import display
    from training.video_file import check_video_name

    outs = [arguments.out, *([] if arguments.side_by_side is None else [arguments.side_by_side])]
    for path in outs:
        check_video_name(path)
    if len({Path(path).resolve() for path in outs}) < len(outs):
        raise UserError(f"--side-by-side {arguments.side_by_side}: is --out as well; name another file")
    names = ("steps", "scheduler", "frames", "overlap", "seed", "device")
    settings = AnimationSettings(
        guidance=_scales(arguments.guidance), **{name: getattr(arguments, name) for name in names}
    )
    check_device(settings.device)
    model = load_portrait(arguments.checkpoint)
    with display() as progress:
        made = animate(
            model,
            arguments.portrait,
            arguments.driving,
            camera=arguments.camera,
            expression=arguments.expression,
            pose=arguments.pose,
            detector=None if arguments.landmarks is None else load_detector(arguments.landmarks),
            settings=settings,
            progress=progress,
        )
    made.save(arguments.out)
    if arguments.side_by_side is not None:
        made.save_beside(arguments.side_by_side, model)
    print(f"{arguments.out}: {made}")


def _track(arguments: argparse.Namespace) -> None:
    from training.device import check_device
    from training.landmarks.load import load_detector
    from training.progress import display
    from training.tracking.fit import FitSettings
    from training.tracking.track import track

    check_device(arguments.device)
    given, focal = FitSettings(), arguments.focal_length_mm
    settings = given if focal is None else FitSettings(focal_length_mm=focal, focal_spread=0)
    with display() as progress:
        made = track(
            arguments.video,
            load_detector(arguments.landmarks).to(arguments.device),
            arguments.out,
            head=arguments.head,
            overlay=arguments.overlay,
            most_missing_s=arguments.most_missing,
            settings=settings,
            progress=progress,
        )
    print(made)


def _track_report(arguments: argparse.Namespace) -> None:
    from training.device import check_device
    from training.landmarks.load import load_detector
    from training.progress import display
    from training.tracking.report import report_tracking

    check_device(arguments.device)
    _check_folder(arguments.out)
    with display() as progress:
        report = report_tracking(
            load_detector(arguments.landmarks).to(arguments.device),
            arguments.corpus,
            arguments.split,
            clips=arguments.clips,
            focal_known=arguments.focal_known,
            progress=progress,
        )
    _write_into(arguments.out, "tracking", report)


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.animation.shot import AnimationSettings
    from training.evaluation.instruments import load_instruments
    from training.evaluation.run import evaluate_to_folder
    from training.evaluation.takes import TakeSettings
    from training.progress import display

    settings = TakeSettings(arguments.protocol, arguments.clips, arguments.frames, arguments.seed)
    animation = AnimationSettings(
        guidance=_scales(arguments.guidance), steps=arguments.steps, seed=arguments.seed, device=arguments.device
    )
    instruments = load_instruments(
        arguments.landmarks, arguments.identity, arguments.lpips, arguments.features, arguments.device
    )
    with display() as progress:
        print(
            evaluate_to_folder(
                arguments.checkpoint,
                arguments.corpus,
                arguments.out,
                settings,
                split=arguments.split,
                subset=arguments.subset,
                instruments=instruments,
                animation=animation,
                progress=progress,
            )
        )


def _app(arguments: argparse.Namespace) -> None:
    from training.app.server import serve
    from training.app.studio import Studio
    from training.pipeline import PortraitPipeline

    pipeline = PortraitPipeline.from_pretrained(arguments.checkpoint, arguments.landmarks).to(arguments.device)
    require(0 <= arguments.port <= 65535, "--port", arguments.port, "0 to 65535")
    serve(
        Studio(pipeline, arguments.corpus, arguments.split),
        port=arguments.port,
        open_browser=not arguments.no_open,
        ready=lambda url: print(f"{url}  (Ctrl-C ends)", flush=True),
    )


def _independence(arguments: argparse.Namespace) -> None:
    from training.animation.shot import AnimationSettings
    from training.device import check_device
    from training.evaluation.independence import measure_independence
    from training.landmarks.load import load_detector
    from training.portrait import load_portrait
    from training.progress import display

    check_device(arguments.device)
    _check_folder(arguments.out)
    with display() as progress:
        found = measure_independence(
            load_portrait(arguments.checkpoint).to(arguments.device),
            arguments.corpus,
            load_detector(arguments.landmarks).to(arguments.device),
            split=arguments.split,
            clips=arguments.clips,
            animation=AnimationSettings(seed=arguments.seed, device=arguments.device),
            seed=arguments.seed,
            progress=progress,
        )
    _write_into(arguments.out, "independence", found)


def _check_folder(path: str) -> None:
    """Raises UserError for a file, before minutes are spent."""
    if Path(path).exists() and not Path(path).is_dir():
        raise UserError(f"--out {path}: is a file; name a folder")


def _write_into(folder: str, name: str, report: Any) -> None:
    from training.folder import replacing_file

    for suffix, text in (("md", report.to_markdown()), ("json", report.to_json())):
        with replacing_file(Path(folder) / f"{name}.{suffix}", name) as beside:
            beside.write_text(text)
    print(report.to_markdown())


def _scales(words: list[str]) -> dict[str, float]:
    """``NAME=SCALE`` words. Raises UserError for others."""
    scales = {}
    for word in words:
        name, equals, scale = word.partition("=")
        try:
            scales[name] = float(scale)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise UserError(f"--guidance {word!r}: is no scale of a condition; write expression=2")
    return scales
