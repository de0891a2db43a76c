"""Clips to pictures with Blender: the only room that imports bpy."""
