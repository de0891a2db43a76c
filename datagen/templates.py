"""Render templates: the look of a scene (light, world, background) as data, free of any engine."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from datagen.settings import Rgb, Settings, Span, did_you_mean, read_yaml, span_within, validate, within
from manifests.errors import UserError

WorldMap = Literal[
    "city.exr", "courtyard.exr", "forest.exr", "interior.exr",
    "night.exr", "studio.exr", "sunrise.exr", "sunset.exr",
]  # fmt: skip
"""The CC0 world maps that ship with Blender (datafiles/studiolights/world)."""


class Light(Settings):
    """A square area light that looks at the head's centre."""

    azimuth_deg: Annotated[Span, span_within(-180, 180)]
    """Direction about the vertical axis: 0 is in front of the face, positive to the subject's left."""
    elevation_deg: Annotated[Span, span_within(-90, 90)]
    """Height above the head's horizontal plane; 90 is straight above."""
    distance_m: Annotated[Span, span_within(0.3, 20)] = (1.0, 1.0)
    """Distance from the head's centre."""
    power_w: Annotated[Span, span_within(0, 100_000)]
    """Radiant power, as Blender's area lights count it."""
    size_m: Annotated[Span, span_within(0.01, 10)] = (0.5, 0.5)
    """Edge length: small lights cast hard shadows."""
    temperature_k: Annotated[Span, span_within(1700, 25_000)] = (6500.0, 6500.0)
    """Colour temperature: 3000 is warm, 6500 neutral, 10000 cold."""


class World(Settings):
    """The light that comes from everywhere."""

    maps: tuple[WorldMap, ...] = ()
    """World maps to choose from with equal chance; empty means a plain colour."""
    colour: Rgb = (1.0, 1.0, 1.0)
    """The plain colour where no map is chosen, linear Rec.709."""
    strength: Annotated[Span, span_within(0, 100)] = (0.5, 0.5)
    """Factor on the map's or the colour's radiance."""
    rotation_deg: Annotated[Span, span_within(-360, 360)] = (-180.0, 180.0)
    """Turn of the map about the vertical axis."""


class RenderTemplate(Settings):
    """The look of a clip. Every range is drawn from once per clip, each value from a stream of its own."""

    lights: dict[str, Light] = Field(default_factory=dict)
    """Area lights by name (key, fill, rim). A light's draws follow its name, so one may be added freely."""
    mirror_share: Annotated[float, within(0, 1)] = 0.0
    """Share of the clips in which the lights are mirrored left to right."""
    world: World = World()
    background: Literal["black", "colour", "world"] = "black"
    """What stands behind the person: black, one of background_colours, or the blurred world map."""
    background_colours: tuple[Rgb, ...] = ()
    """Colours to choose from with equal chance if background is colour; linear Rec.709."""
    exposure_ev: Annotated[Span, span_within(-10, 10)] = (0.0, 0.0)
    """Exposure of the picture in stops."""
    view_transform: Literal["AgX", "Standard"] = "AgX"
    """From scene light to display: AgX rolls highlights off, Standard is plain sRGB."""

    @model_validator(mode="after")
    def _whole(self) -> RenderTemplate:
        if self.background == "colour" and not self.background_colours:
            raise ValueError("background: colour needs background_colours, a list of [red, green, blue]")
        if self.background == "world" and not self.world.maps:
            raise ValueError("background: world needs world.maps, such as [studio.exr]")
        if not self.lights and self.world.strength[1] == 0:
            raise ValueError("there is no light: add lights, or a world.strength above 0")
        return self


def shipped_templates() -> list[str]:
    """Names of the templates that come with the project."""
    folder = resources.files("render_templates")
    return sorted(entry.name[: -len(".yaml")] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def template_path(name: str, folder: Path, source: str) -> Path:
    """The file of a template given by shipped name, or by a path relative to ``folder``.

    Raises UserError, which begins with ``source``, if there is none.
    """
    if name in shipped_templates():
        return Path(str(resources.files("render_templates").joinpath(f"{name}.yaml")))
    path = folder / name
    if path.is_file():
        return path
    near = did_you_mean(name, shipped_templates(), "shipped templates")
    raise UserError(f"{source}: no such template; {near}; or the path of a .yaml file, seen from {folder}")


def load_template(path: Path) -> RenderTemplate:
    """A template from its file. Raises UserError about the first fault in it."""
    return validate(RenderTemplate, read_yaml(path), str(path))
