"""One clip from its configuration and index: sampled, posed, rendered, labelled and encoded.

This is all that a worker does. It needs nothing but the resolved configuration and the index.
"""

from __future__ import annotations

from datagen.assets import Assets
from datagen.blender.renderer import ClipRenderer
from datagen.config import CorpusConfig
from datagen.encode import ClipEncoder
from datagen.geometry.posed import pose_clip
from datagen.geometry.surface import make_surface
from datagen.heads.model import load_head
from datagen.sampling.clip import sample_clip
from manifests.clip import Clip, Member, RenderSettings


class Pipeline:
    """Makes the clips of one corpus, any of them in any order, always with the same bytes."""

    def __init__(self, config_json: str, threads: int = 1) -> None:
        """Load the head and start Blender, which renders with so many ``threads``; they change no byte.

        Raises UserError if the configuration, the head, the device or Blender's libraries are at fault.
        """
        self._config = CorpusConfig.from_json(config_json)
        self._head = load_head(self._config.head)
        self._config.check_head(self._head.info)
        self._surface = make_surface(self._head, self._config.render.subdivision)
        settings = RenderSettings(**self._config.render.model_dump())
        self._renderer = ClipRenderer(settings, threads, Assets(self._config.folders))

    def sample(self, index: int) -> Clip:
        """What clip `index` shows, before it is rendered."""
        return sample_clip(self._config, self._head.info, index)

    def members(self, index: int) -> list[Member]:
        """The files of clip `index`, in the order they stand in the shard."""
        return self.render(self.sample(index))

    def render(self, clip: Clip) -> list[Member]:
        """The files of a clip that was sampled."""
        posed = pose_clip(clip, self._head, self._surface)
        encoder = ClipEncoder(clip, posed)
        for frame in self._renderer.frames(clip, posed):
            encoder.add(frame)
        return encoder.finish()
