"""Shards -> conditioned video diffusion transformer -> animation -> evaluation. Nothing is here yet."""
