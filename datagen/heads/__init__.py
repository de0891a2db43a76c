"""Head models: the open heads, and licensed FLAME and SMPL-X files."""

from .model import HeadModel, head_info, load_head

__all__ = ["HeadModel", "head_info", "load_head"]
