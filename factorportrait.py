"""The front door: one command, `factorportrait`, that hands over to the rooms.

Rooms are imported only when their command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import training.commands
from manifests.commands import Above, add_commands
from manifests.errors import UserError

if TYPE_CHECKING:
    from manifests.audit.probe import GeometryProbe
    from manifests.clip import Member

OPTIONS_WITH_VALUE = ("--out", "--workers", "--address", "--clip", "--grid", "--size")
OPTIONS = (*OPTIONS_WITH_VALUE, "--help")
"""Of the commands that take a configuration; any other option there overrides a field of it."""

MESSAGE_LENGTH = 1000
EXIT_OK, EXIT_USER_ERROR, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED = 0, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 2 something given is wrong, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:2] == ["train", "fit"]:
            return _fit(words[2:])
        overrides = _take_overrides(words) if words[:1] in (["generate"], ["preview"]) else {}
        arguments = _parser().parse_args(words)
        arguments.overrides = overrides
        return int(arguments.run(arguments) or EXIT_OK)
    except UserError as error:
        print(f"factorportrait: {' '.join(str(error).split())[:MESSAGE_LENGTH]}", file=sys.stderr)
        return EXIT_USER_ERROR
    except BrokenPipeError:  # whoever reads the output has seen enough
        sys.stdout = None
        return EXIT_PIPE_CLOSED
    except OSError as error:
        print(f"factorportrait: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as stop:
        print(f"factorportrait: {str(stop) or 'interrupted'}", file=sys.stderr)
        return EXIT_INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from manifests.corpus import PROGRAM, installed_version

        print(f"{PROGRAM} {installed_version(PROGRAM)}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="factorportrait", description="Synthetic multi-view head video: generate, audit, look at, train on."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="version, and a digest of what shapes clips")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    generate = commands.add_parser(
        "generate",
        help="render a corpus into shards, or go on with one",
        description="Render a corpus into WebDataset shards with a manifest. The same command resumes an "
        "interrupted run. Any field of the configuration can be overridden: --clips 100, "
        "--camera.yaw_deg '[-30, 30]'.",
    )
    _corpus_argument(generate)
    generate.add_argument("--out", required=True, metavar="DIR_OR_URL", help="folder or fsspec URL (s3://...)")
    generate.add_argument("--workers", type=int, metavar="N", help="workers (default: one a core, or one a GPU)")
    generate.add_argument("--address", metavar="ADDR", help="an existing Ray cluster (default: start a local Ray)")
    generate.set_defaults(run=_generate)

    status = commands.add_parser("status", help="how far a corpus is, from its output folder alone")
    status.add_argument("out", metavar="OUT", help="folder or fsspec URL of a corpus")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=_status)

    preview = commands.add_parser(
        "preview",
        help="a contact sheet of one clip: views, frames and labels; or of many people",
        description="Render one clip of a configuration and draw its views, frames and labels on one sheet; or, "
        "with --grid, the first frame of random people. Fields can be overridden as in generate.",
    )
    _corpus_argument(preview)
    shown = preview.add_mutually_exclusive_group()
    shown.add_argument("--clip", type=int, default=0, metavar="I", help="clip index (default 0)")
    shown.add_argument("--grid", type=int, metavar="N", help="show N random people instead of one clip")
    preview.add_argument("--size", type=int, metavar="PX", help="width of a person in the grid (default 256)")
    preview.add_argument(
        "--out", default="preview.png", metavar="FILE", help="PNG or JPEG to write (default preview.png)"
    )
    preview.set_defaults(run=_preview)

    heads = commands.add_parser("heads", help="list, build or import head models")
    actions = heads.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="the heads on this machine").set_defaults(run=_heads_list)
    build = actions.add_parser("build", help="build an open head now instead of on first use")
    build.add_argument("name", nargs="?", default="open", help="open (FLAME format) or open-body (SMPL-X format)")
    build.set_defaults(run=_heads_build)
    take = actions.add_parser("import", help="take in a licensed FLAME or SMPL-X file (.pkl or .npz)")
    take.add_argument("file", metavar="FILE")
    take.add_argument("--name", required=True, help="name to use in configurations (a-z, 0-9, - and _)")
    take.add_argument("--licence", required=True, help="the licence you hold the file under, kept in every clip")
    take.add_argument("--landmarks", metavar="FILE", help="FLAME's landmark embedding (.pkl, .npy or .npz)")
    take.add_argument("--uv", metavar="FILE", help="FLAME's texture coordinates (FLAME_texture.npz), which skin needs")
    take.add_argument("--replace", action="store_true", help="replace an imported head of the same name")
    take.set_defaults(run=_heads_import)

    add_commands(commands, Above(probe=_geometry, mesh=_mesh, rerender=_rerender))
    training.commands.add_commands(commands)
    return parser


def _corpus_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "corpus", metavar="CORPUS.yaml", help="configuration file, or a shipped one: demo, paper, cluster"
    )


def _take_overrides(words: list[str]) -> dict[str, str]:
    """Take `--field value` and `--field=value` out of `words`, the command's own options left in."""
    overrides: dict[str, str] = {}
    kept: list[str] = []
    remaining = iter(words)
    for word in remaining:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name in OPTIONS:
            kept.append(word)
            if name in OPTIONS_WITH_VALUE and not equals:
                kept.extend(itertools.islice(remaining, 1))
            continue
        if not equals:
            following = next(remaining, None)
            if following is None:
                raise UserError(f"{name}: no value given: write {name} VALUE")
            value = following
        overrides[name[2:]] = value
    words[:] = kept
    return overrides


def _generate(arguments: argparse.Namespace) -> None:
    from datagen.generate import generate_corpus

    made = generate_corpus(
        arguments.corpus,
        arguments.out,
        overrides=arguments.overrides,
        workers=arguments.workers,
        address=arguments.address,
    )
    report = made.report
    given_up = f", {report.quarantined} given up (see status)" if report.quarantined else ""
    shards = "1 shard" if report.shards == 1 else f"{report.shards} shards"
    print(f"{report.clips} clips in {shards}, {report.rendered} rendered in this run{given_up}")
    print(f"shards         {made.shards}")
    print(f"manifest       {made.manifest}")
    print(f"contact sheet  {made.contact_sheet}")


def _status(arguments: argparse.Namespace) -> None:
    from manifests.status import format_status, status

    found = status(arguments.out)
    print(json.dumps(dataclasses.asdict(found), indent=2) if arguments.json else format_status(found))


def _preview(arguments: argparse.Namespace) -> None:
    from datagen.preview import preview, preview_people

    corpus, out, overrides = arguments.corpus, arguments.out, arguments.overrides
    if arguments.grid is None:
        if arguments.size is not None:
            raise UserError("--size: is the width of a person in a grid; add --grid N, or leave it out")
        print(preview(corpus, arguments.clip, out, overrides=overrides))
    else:
        size = 256 if arguments.size is None else arguments.size
        print(preview_people(corpus, arguments.grid, out, size=size, overrides=overrides))


def _fit(words: list[str]) -> int:
    from training.fit import fit

    if model := fit(words):
        print(model)
    return EXIT_OK


def _heads_list(arguments: argparse.Namespace) -> None:
    from datagen.heads.store import INFO_FILE, heads_folder, list_heads, read_info

    for name in list_heads():
        folder = heads_folder() / name
        if not (folder / INFO_FILE).is_file():
            print(f"{name:16} not built yet: built on first use, or by factorportrait heads build {name}")
            continue
        head = read_info(folder)
        sizes = f"{head.identity_size} identity and {head.expression_size} expression components"
        print(f"{name:16} {head.kind}, {sizes}, {head.licence}, sha256 {head.sha256[:16]}")


def _heads_build(arguments: argparse.Namespace) -> None:
    from datagen.heads.store import build_head

    head = build_head(arguments.name)
    print(f"{head.name}: built, sha256 {head.sha256}")


def _heads_import(arguments: argparse.Namespace) -> None:
    from datagen.heads.importer import import_head

    head = import_head(
        arguments.file,
        arguments.name,
        licence=arguments.licence,
        landmarks=arguments.landmarks,
        uv=arguments.uv,
        replace=arguments.replace,
    )
    print(f"{head.name}: imported, {head.kind}, sha256 {head.sha256}")


def _geometry() -> GeometryProbe:
    from datagen.probe import GEOMETRY

    return GEOMETRY


def _mesh(spec: Mapping[str, Any], motion: Mapping[str, Any]) -> tuple[Any, Any]:
    from datagen.probe import mesh_probe

    return mesh_probe(spec, motion)


def _rerender(config: Mapping[str, Any], index: int, device: str | None) -> list[Member]:
    from datagen.probe import rerender

    return rerender(config, index, device)


if __name__ == "__main__":
    sys.exit(main())
