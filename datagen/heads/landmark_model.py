"""The landmarks of a head as a differentiable function of its parameters, for fitting it to what is seen."""

from __future__ import annotations

from typing import Any

import torch
from smplx.lbs import batch_rodrigues, lbs
from torch import Tensor, nn

from datagen.heads.model import NECK_JOINT, HeadModel


class LandmarkModel(nn.Module):
    """The 70 landmarks of a head model, exactly as `HeadModel.pose` would place them, and nothing else of its mesh.

    Skinning is that of ``smplx``, given the corners of the landmarks' faces, and behind them the joints as if they
    were vertices: they follow shape and expression as the full mesh's regressed joints do.
    """

    template: Tensor
    directions: Tensor
    posedirs: Tensor
    regressor: Tensor
    weights: Tensor
    barycentric: Tensor
    origin: Tensor
    parents: Tensor

    def __init__(self, head: HeadModel) -> None:
        super().__init__()
        model: Any = head.skinned
        corners = torch.from_numpy(head.faces[head.landmark_faces]).long().flatten()  # [210]
        regressor, count = model.J_regressor.double(), len(model.parents)
        directions = torch.cat([model.shapedirs, model.expr_dirs], dim=-1).double()  # [V, 3, shape + expression]
        self.shapes = model.shapedirs.shape[-1]
        self.expressions = model.expr_dirs.shape[-1]
        self.kind = head.info.kind
        joints = regressor @ model.v_template.double()
        bends = torch.einsum("jv,vcs->jcs", regressor, directions)
        posed = model.posedirs.view(len(model.posedirs), -1, 3)[:, corners]
        still = posed.new_zeros(len(posed), count, 3)
        buffers = {
            "template": torch.cat([model.v_template[corners].double(), joints]),
            "directions": torch.cat([directions[corners], bends]),
            "posedirs": torch.cat([posed, still], dim=1).flatten(1),
            "regressor": torch.cat([torch.zeros(count, len(corners)), torch.eye(count)], dim=1),
            "weights": torch.cat([model.lbs_weights[corners], torch.eye(count)]),
            "barycentric": torch.from_numpy(head.landmark_barycentric),
            "origin": joints[NECK_JOINT[self.kind]],
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.float())
        self.register_buffer("parents", model.parents)

    def forward(
        self,
        shape: Tensor,
        expression: Tensor,
        root: Tensor,
        neck: Tensor,
        jaw: Tensor,
        left_eye: Tensor,
        right_eye: Tensor,
        translation: Tensor,
    ) -> Tensor:
        """World positions [T, 70, 3] in metres from shape [S], expression [T, E], rotations [T, 3] (axis-angle) and
        translation [T, 3], as in `manifests.clip.Motion`; S and E may be the first few components."""
        frames = len(expression)
        betas = nn.functional.pad(shape.expand(frames, -1), (0, self.shapes - shape.shape[-1]))
        coefficients = nn.functional.pad(expression, (0, self.expressions - expression.shape[-1]))
        vertices, _ = lbs(
            torch.cat([betas, coefficients], dim=1),
            self._pose(neck, jaw, left_eye, right_eye),
            self.template.expand(frames, -1, -1),
            self.directions,
            self.posedirs,
            self.regressor,
            self.parents,
            self.weights,
        )
        corners = vertices[:, : 3 * len(self.barycentric)].unflatten(1, (-1, 3))
        points = torch.einsum("tlkc,lk->tlc", corners, self.barycentric) - self.origin
        return points @ batch_rodrigues(root).mT + translation[:, None]

    @torch.no_grad()
    def mean(self) -> Tensor:
        """[70, 3]: of the mean head, neutral and still."""
        nobody, still = torch.zeros(1), torch.zeros(1, 3)
        points: Tensor = self(nobody, torch.zeros(1, 1), still, still, still, still, still, still)[0]
        return points

    def _pose(self, neck: Tensor, jaw: Tensor, left_eye: Tensor, right_eye: Tensor) -> Tensor:
        """Axis-angle [T, 3 J] in the order of the joints; the root turns outside."""
        still = torch.zeros_like(neck)
        if self.kind == "flame":
            return torch.cat([still, neck, jaw, left_eye, right_eye], dim=1)
        joints = [still] * len(self.parents)
        joints[NECK_JOINT["smplx"]] = neck
        joints[22:25] = [jaw, left_eye, right_eye]
        return torch.cat(joints, dim=1)
