"""What an audit asks of this room: a stored clip's geometry made anew, its mesh, and the clip rendered again.

Everything comes from the sample's own record and arrays, which may be anybody's: the head is looked up by name
and hash among those of this machine, and sizes are checked before memory is taken.
"""

from typing import Final

from datagen.probe.pictures import picture_probe
from datagen.probe.places import place_probe
from datagen.probe.remade import mesh_probe, rerender
from manifests.audit.probe import GeometryProbe

__all__ = ["GEOMETRY", "mesh_probe", "picture_probe", "place_probe", "rerender"]

GEOMETRY: Final = GeometryProbe(picture_probe, place_probe)
