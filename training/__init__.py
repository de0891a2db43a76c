"""Shards -> conditioned video diffusion transformer -> animation -> evaluation."""
