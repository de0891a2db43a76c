"""A trained model as one thing: what it is told by, what denoises, how it samples; and as one folder.

FOLDER/model_index.json   as diffusers' pipelines have: the class of each part; how it predicts and samples; digests
FOLDER/README.md          the model's card
FOLDER/transformer/       the averaged weights, in diffusers' format
FOLDER/codec/             as it was given to the training
FOLDER/expression/
FOLDER/landmarks/         the detector that finds faces in pictures and videos, if it was exported with one
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
from torch import Tensor, nn

from manifests.errors import UserError
from training.codec.load import codec_folder, load_codec
from training.codec.patches import KIND as PATCHES
from training.conditioning import CONDITIONS, expression_channels, input_channels
from training.data.batch import Sample
from training.dit import ConditionedTransformer, load_transformer
from training.encode import Encode
from training.expression.load import OWN, load_encoder
from training.flow import FlowSettings
from training.folder import digest, read_config, replacing_folder
from training.footage import Footage
from training.landmarks.detector import LandmarkDetector
from training.landmarks.load import load_detector
from training.model_card import CARD, model_card
from training.sampler import SamplerSettings, sample_latents
from training.streams import torch_generator
from training.trained_on import TrainedOn

RECORD: Final = "model_index.json"
_LANDMARKS: Final = "landmarks"
VERSION: Final = 4
_CLASSES: Final = {
    "_class_name": "PortraitPipeline",
    "_diffusers_version": diffusers.__version__,
    "transformer": ["training.dit", "ConditionedTransformer"],
    "codec": ["training.codec.load", "load_codec"],
    "expression": ["training.expression.load", "load_encoder"],
}
"""Read by whoever looks into the folder; we load what belongs in each place, never what a file names."""


@dataclass(frozen=True)
class Portrait:
    """What it takes to make a video of a person."""

    encode: Encode
    transformer: nn.Module
    flow: FlowSettings
    sampler: SamplerSettings
    footage: Footage
    untold: tuple[str, ...] = ()
    """Of `conditioning.CONDITIONS`, those that it never learnt of."""
    detector: LandmarkDetector | None = None
    """Finds faces in pictures and videos."""

    @torch.no_grad()
    def predict(
        self, sample: Sample, driver: Sample | None = None, sampler: SamplerSettings | None = None, seed: int = 0
    ) -> Tensor:
        """Video [B, 3, T, H, W] in [-1, 1] of the sample's portrait, head pose and cameras, with the expressions of
        ``driver`` (the sample's own unless given). Each sample's noise follows from its key and ``seed``, so that it is
        the same in any batch and under any conditions."""
        encoded = self.encode(sample, driver)
        shape = encoded.latents.shape[1:]
        noise = torch.stack([torch.randn(shape, generator=torch_generator(seed, "noise", key)) for key in encoded.key])
        settings = sampler or self.sampler
        told = encoded.conditions.without(self.untold)
        latents = sample_latents(self.transformer, told, self.flow, settings, noise.to(encoded.latents))
        return self.encode.codec.decode(latents)

    def with_detector(self, detector: LandmarkDetector) -> Portrait:
        return dataclasses.replace(self, detector=detector)

    def to(self, device: torch.device | str) -> Portrait:
        self.encode.to(device)
        self.transformer.to(device)
        if self.detector is not None:
            self.detector.to(device)
        return self


def load_portrait(folder: str | Path) -> Portrait:
    """The model of a folder, on the CPU. Raises UserError where it is none, or parts of it are another model's."""
    folder = Path(folder)
    record = _read_record(folder)
    encode = Encode(load_codec(folder / "codec"), load_encoder(folder / "expression"))
    _check_digest(folder, record, "codec", encode.codec.digest)
    _check_digest(folder, record, "expression", encode.expression.digest)
    transformer = load_transformer(
        folder / "transformer",
        latent_channels=encode.codec.channels,
        in_channels=input_channels(encode.codec),
        expression_channels=expression_channels(encode.codec, encode.expression.code_size),
    )
    _check_digest(folder, record, "transformer", transformer_digest(transformer))
    try:
        flow, sampler = FlowSettings(**record["flow"]), SamplerSettings(**record["sampler"])
        footage, untold = Footage(**record["footage"]), _conditions(record.get("untold", []))
    except (TypeError, KeyError) as error:
        raise UserError(f"{folder}/{RECORD}: is damaged ({error}); take another copy of the model") from None
    detector = load_detector(folder / _LANDMARKS) if (folder / _LANDMARKS).exists() else None
    return Portrait(encode, transformer.eval().requires_grad_(False), flow, sampler, footage, untold, detector)


def export_portrait(checkpoint: str | Path, out: str | Path, landmarks: str | Path | None = None) -> Path:
    """Write the averaged model of a training's checkpoint as a folder, with the detector of folder ``landmarks``; one
    that was there is replaced.

    Raises UserError for what is no checkpoint or a damaged one, where the codec or encoder it names is gone or has
    changed, or the place is taken.
    """
    trained, out = _trained(checkpoint), Path(out)
    if out.exists() and not (out / RECORD).is_file():
        raise UserError(f"{out}: is there already and no model; name another place, or move it away")
    if load_codec(trained.codec).digest != trained.codec_digest:
        raise UserError(f"{trained.codec}: changed since the training; restore the codec it was trained with")
    if load_encoder(trained.expression).digest != trained.expression_digest:
        raise UserError(f"{trained.expression}: changed since the training; restore the encoder it was trained with")
    if landmarks is not None:
        read_config(landmarks)
    with replacing_folder(out) as beside:
        trained.transformer.save_pretrained(beside / "transformer")
        _copy_model(codec_folder(trained.codec), beside / "codec")
        codec = read_config(beside / "codec")
        _copy_model(trained.expression, beside / "expression")
        classes, licence = dict(_CLASSES), None
        if landmarks is not None:
            classes["landmarks"] = ["training.landmarks.load", "load_detector"]
            _copy_model(Path(landmarks), beside / _LANDMARKS)
            licence = load_detector(beside / _LANDMARKS).licence
        record = {
            **classes,
            "version": VERSION,
            **settings_record(trained.flow, trained.sampler, trained.footage),
            "digests": {
                "codec": trained.codec_digest,
                "expression": trained.expression_digest,
                "transformer": transformer_digest(trained.transformer),
            },
            "untold": list(trained.untold),
            "trained_on": dataclasses.asdict(trained.data),
            "training_steps": trained.steps,
        }
        parameters = sum(weight.numel() for weight in trained.transformer.parameters())
        others = {"base": trained.base} if trained.base else {}
        if codec.get("kind") != PATCHES:  # components of patches are fitted here and to nothing else
            others["codec"] = str(codec.get("_class_name"))
        kind = read_config(beside / "expression").get("kind")
        if kind not in OWN:  # an installed package's
            others["expression encoder"] = str(kind)
        card = model_card(
            trained.data,
            trained.footage,
            parameters,
            trained.steps,
            untold=trained.untold,
            detector=licence,
            others=others,
        )
        (beside / CARD).write_text(card)
        (beside / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    return out


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A training's checkpoint, on the CPU. Raises UserError for what is none, or lies in parts."""
    if Path(path).is_dir():
        raise UserError(
            f"{path}: is a folder of each rank's part; gather it by `python -m "
            f"lightning.fabric.utilities.consolidate_checkpoint {path}` and give the file that this makes, or let "
            "training.sharded.Sharded write one_file"
        )
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; name one that a run's folder holds") from None
    except Exception as error:  # whatever a file that is no archive of tensors leads to
        raise UserError(f"{path}: cannot be read as a checkpoint ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(stored, dict) or not isinstance(stored.get("factorportrait"), Mapping):
        raise UserError(f"{path}: is no checkpoint of this project; name one that a run's folder holds")
    return stored


@dataclass(frozen=True)
class _Trained:
    """What a checkpoint holds of the model."""

    transformer: ConditionedTransformer
    codec: Path
    expression: Path
    codec_digest: str
    expression_digest: str
    flow: FlowSettings
    sampler: SamplerSettings
    footage: Footage
    untold: tuple[str, ...]
    data: TrainedOn
    steps: int
    base: str
    """Name of the folder that it started from; empty if from nothing."""


def _trained(checkpoint: str | Path) -> _Trained:
    stored = read_checkpoint(checkpoint)
    try:
        about, weights = stored["factorportrait"], stored["state_dict"]
        return _Trained(
            transformer=_averaged(about["architecture"], weights),
            codec=Path(about["codec folder"]),
            expression=Path(about["expression folder"]),
            codec_digest=str(about["codec"]),
            expression_digest=str(about["expression encoder"]),
            flow=FlowSettings(**about["flow"]),
            sampler=SamplerSettings(**about["sampler"]),
            footage=Footage(**about["footage"]),
            untold=_conditions(about.get("untold", [])),
            data=TrainedOn(**about.get("trained on", {})),
            steps=int(stored.get("global_step", 0)),
            base=str(about.get("base", "")),
        )
    except Exception as error:  # whatever fields that are gone, or of other kinds and sizes, lead to
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{checkpoint}: is damaged ({reason}); export another checkpoint of the run") from None


def _averaged(architecture: Mapping[str, Any], weights: Mapping[str, Tensor]) -> ConditionedTransformer:
    """With the weights themselves and no copy of them: what sizes it tells take no memory until the weights agree."""
    prefix = "average."
    averaged = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
    with torch.device("meta"):
        model: ConditionedTransformer = ConditionedTransformer.from_config(dict(architecture))
    model.load_state_dict({name: value.float().contiguous() for name, value in averaged.items()}, assign=True)
    return model


def transformer_digest(transformer: ConditionedTransformer) -> str:
    """SHA-256 of architecture and weights."""
    config = {name: value for name, value in transformer.config.items() if not name.startswith("_")}
    return digest(config, transformer.state_dict())


def _conditions(names: Any) -> tuple[str, ...]:
    """Raises TypeError for what names none."""
    if not isinstance(names, list) or not all(name in CONDITIONS for name in names):
        raise TypeError(f"untold: {str(names)[:60]} are no conditions")
    return tuple(names)


def _check_digest(folder: Path, record: Mapping[str, Any], name: str, found: str) -> None:
    digests = record.get("digests")
    if not isinstance(digests, Mapping) or digests.get(name) != found:
        raise UserError(f"{folder}/{name}: is not what the model was trained with; take another copy of the model")


def settings_record(flow: FlowSettings, sampler: SamplerSettings, footage: Footage) -> dict[str, Any]:
    return {
        "flow": dataclasses.asdict(flow),
        "sampler": dataclasses.asdict(sampler),
        "footage": dataclasses.asdict(footage),
    }


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{folder}: no model, it holds no {RECORD}; give one that `train fit` or `train export` made"
        ) from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise UserError(f"{folder}/{RECORD}: is damaged or of another version; export the checkpoint again")
    return record


def _copy_model(source: Path, target: Path) -> None:
    """Its config and tensors alone."""
    target.mkdir()
    for file in source.iterdir():
        if file.is_file() and (file.name == "config.json" or file.suffix == ".safetensors"):
            shutil.copyfile(file, target / file.name)
