"""Render templates: the look of a scene (light, world, background) as data, free of any engine."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from datagen.assets import HDRIS, IMAGES, AssetFolder, list_folder
from datagen.settings import Rgb, Settings, Span, did_you_mean, read_yaml, show, span_within, validate, within
from manifests.errors import UserError

WorldMap = Literal[
    "city.exr", "courtyard.exr", "forest.exr", "interior.exr",
    "night.exr", "studio.exr", "sunrise.exr", "sunset.exr",
]  # fmt: skip
"""The CC0 world maps that ship with Blender (datafiles/studiolights/world)."""

MOST_PARENTS = 16


class Light(Settings):
    """A square area light that looks at the head's centre, or a ring of such lights."""

    azimuth_deg: Annotated[Span, span_within(-180, 180)]
    """Direction about the vertical axis: 0 is in front of the face, positive to the subject's left."""
    elevation_deg: Annotated[Span, span_within(-90, 90)]
    """Height above the head's horizontal plane; 90 is straight above."""
    distance_m: Annotated[Span, span_within(0.3, 20)] = (1.0, 1.0)
    """Distance from the head's centre."""
    power_w: Annotated[Span, span_within(0, 100_000)]
    """Radiant power, as Blender's area lights count it. The camera's exposure follows the light at the face, so
    what shows is each light's power against the others'."""
    size_m: Annotated[Span, span_within(0.01, 10)] = (0.5, 0.5)
    """Edge length: small lights cast hard shadows."""
    ring_m: Annotated[Span, span_within(0, 5)] = (0.0, 0.0)
    """Diameter of a ring of lights that share the power; 0 is one light."""
    temperature_k: Annotated[Span, span_within(1700, 25_000)] = (6500.0, 6500.0)
    """Colour temperature: 3000 is warm, 6500 neutral, 10000 cold."""
    gels: tuple[Rgb, ...] = ()
    """Colour filters to choose from with equal chance, linear Rec.709; empty means none."""

    @property
    def shines(self) -> bool:
        """Whether every draw of it gives light."""
        return self.power_w[0] > 0 and all(any(gel) for gel in self.gels)


class Sky(Settings):
    """A clear sky with its sun, over plain ground."""

    sun_elevation_deg: Annotated[Span, span_within(3, 90)] = (15.0, 60.0)
    """Height of the sun above the horizon."""
    sun_azimuth_deg: Annotated[Span, span_within(-180, 180)] = (-180.0, 180.0)
    """Direction of the sun; 0 is in front of the face, positive to the subject's left."""
    sun_size_deg: Annotated[Span, span_within(0.5, 40)] = (0.5, 6.0)
    """Apparent diameter: half a degree in clear air, more behind thin cloud. It softens the shadows."""
    turbidity: Annotated[Span, span_within(2, 8)] = (2.5, 5.0)
    """Haze: 2 is very clear air, 8 is hazy."""
    ground: Rgb = (0.16, 0.15, 0.12)
    """Reflectance of the ground, linear Rec.709."""


class World(Settings):
    """The light that comes from everywhere."""

    maps: tuple[WorldMap, ...] = ()
    """World maps to choose from with equal chance."""
    folder: AssetFolder | None = None
    """A folder of your own equirectangular maps (.exr, .hdr), a path relative to this file; chosen from along
    with the maps."""
    sky: Sky | None = None
    """A sky instead of maps."""
    colour: Rgb = (1.0, 1.0, 1.0)
    """The plain colour where there is neither map nor sky, linear Rec.709."""
    strength: Annotated[Span, span_within(0, 100)] = (0.5, 0.5)
    """Factor on the map's, the sky's or the colour's radiance."""
    rotation_deg: Annotated[Span, span_within(-360, 360)] = (-180.0, 180.0)
    """Turn of the map about the vertical axis."""

    @property
    def shines(self) -> bool:
        """Whether every draw of it gives light, as far as is known before maps are opened."""
        return self.strength[0] > 0 and bool(self.maps or self.folder or self.sky or any(self.colour))


class RenderTemplate(Settings):
    """The look of a clip. Every range is drawn from once per clip, each value from a stream of its own."""

    lights: dict[str, Light] = Field(default_factory=dict)
    """Area lights by name (key, fill, rim). A light's draws follow its name, so one may be added freely."""
    mirror_share: Annotated[float, within(0, 1)] = 0.0
    """Share of the clips in which the lights are mirrored left to right."""
    world: World = World()
    background: Literal["black", "colour", "world", "image"] = "black"
    """What stands behind the person: black, one of background_colours, the blurred world, or one of your images."""
    background_colours: tuple[Rgb, ...] = ()
    """Colours to choose from with equal chance if background is colour; linear Rec.709, as a correctly exposed
    picture shows them."""
    background_folder: AssetFolder | None = None
    """A folder of your own images (.png, .jpg), a path relative to this file, if background is image. One is chosen
    for each clip and fills the frame."""
    background_blur: Annotated[Span, span_within(0, 0.2)] = (0.004, 0.012)
    """Blur of the image: standard deviation as a share of the picture's height."""
    exposure_ev: Annotated[Span, span_within(-4, 4)] = (0.0, 0.0)
    """Exposure in stops above what a light meter at the face says. The meter does not see the skin: dark skin
    stays dark, light skin light."""
    view_transform: Literal["AgX", "Standard"] = "AgX"
    """From scene light to display: AgX rolls highlights off, Standard is plain sRGB."""

    @model_validator(mode="after")
    def _whole(self) -> RenderTemplate:
        world = self.world
        if world.sky and (world.maps or world.folder):
            raise ValueError("world.sky stands instead of maps: leave out world.maps and world.folder, or the sky")
        if self.background == "colour" and not self.background_colours:
            raise ValueError("background: colour needs background_colours, a list of [red, green, blue]")
        if self.background == "world" and not (world.maps or world.folder or world.sky):
            raise ValueError("background: world needs world.maps, such as [studio.exr], world.folder or world.sky")
        if self.background == "image" and not self.background_folder:
            raise ValueError("background: image needs background_folder, a folder of .png and .jpg files")
        if not (any(light.shines for light in self.lights.values()) or world.shines):
            raise ValueError(
                "there may be no light: keep one lamp's power_w and gels, or the world's strength and colour, above 0"
            )
        return self

    @property
    def folders(self) -> list[AssetFolder]:
        """Those of the user's files."""
        return [folder for folder in (self.world.folder, self.background_folder) if folder]


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
    """A template from its file. Raises UserError about the first fault in it, in a parent, or in a user's folder."""
    look = resolve_look(read_yaml(path), path.parent, str(path), (path.resolve(),))
    return validate(RenderTemplate, look, str(path))


def resolve_look(raw: dict[str, Any], folder: Path, source: str, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A template as its file has it, merged into the one it inherits from, and with users' folders listed.

    Sections merge field by field, so lights do by name; lists and values replace the parent's, and null takes
    a light or a field away. ``seen`` are the files on the way here. Raises UserError, which begins with ``source``.
    """
    look = _inherited(raw, folder, source, seen)
    world = look.get("world")
    if isinstance(world, dict) and "folder" in world:
        look["world"] = world | {"folder": list_folder(world["folder"], folder, HDRIS, f"{source}: world.folder")}
    if "background_folder" in look:
        listed = list_folder(look["background_folder"], folder, IMAGES, f"{source}: background_folder")
        look["background_folder"] = listed
    return look


def _inherited(raw: dict[str, Any], folder: Path, source: str, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The merged fields; paths of folders are made absolute, for each is seen from its own file."""
    if len(seen) > MOST_PARENTS:
        raise UserError(f"{source}: has over {MOST_PARENTS} templates to inherit from, one from the other; merge some")
    own = {key: value for key, value in raw.items() if key != "inherits"}
    world = own.get("world")
    if isinstance(world, dict) and isinstance(world.get("folder"), str):
        own["world"] = world | {"folder": _seen_from(folder, world["folder"])}
    if isinstance(own.get("background_folder"), str):
        own["background_folder"] = _seen_from(folder, own["background_folder"])
    if "inherits" not in raw:
        return own
    name = raw["inherits"]
    if not isinstance(name, str):
        raise UserError(f"{source}: inherits = {show(name)}: must be the name or path of one template")
    path = template_path(name, folder, f"{source}: inherits = {show(name)}")
    if path.resolve() in seen:
        names = " -> ".join(step.name for step in (*seen, path))
        raise UserError(f"{source}: inherits = {show(name)}: goes round in a circle ({names}); break it")
    parent = _inherited(read_yaml(path), path.parent, str(path), (*seen, path.resolve()))
    return _merged(parent, own, source, "")


def _seen_from(folder: Path, path: str) -> str:
    return path if path.startswith("~") else str(folder.absolute() / path)


def _merged(parent: dict[str, Any], own: dict[str, Any], source: str, where: str) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in own.items():
        if value is None:
            if where == "lights." and key not in parent:
                near = did_you_mean(str(key), map(str, parent), "its lights")
                raise UserError(f"{source}: {where}{key} = null: the parent has no such light; {near}")
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(parent.get(key), dict):
            merged[key] = _merged(parent[key], value, source, f"{where}{key}.")
        else:
            merged[key] = value
    return merged
