"""Objects of Blender's scene that change their shape from frame to frame."""

from __future__ import annotations

from typing import Any


def shaped_object(bpy: Any, collection: Any, name: str, data: Any) -> Any:
    """An object in the collection that shows a mesh or curves data block, with that block's materials.

    The materials are linked to the object, not to its data. Cycles keeps its geometry from picture to picture and
    finds it again by the address of the data, or of the object if that has materials of its own (``BlenderSync::
    sync_geometry``). Blender evaluates changed data into new memory, now and then where another object's lay: the
    order of geometries in Cycles' scene, and with it the last bit of a pixel, would be left to chance. Objects stay.
    """
    thing = bpy.data.objects.new(name, data)
    for slot, material in zip(thing.material_slots, list(data.materials), strict=True):
        slot.link = "OBJECT"
        slot.material = material
    collection.objects.link(thing)
    return thing
