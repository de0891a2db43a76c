"""The conditioned video diffusion transformer: Wan's, told more and modulated frame by frame.

It is diffusers' `WanTransformer3DModel` with a wider patch embedding, whose new channels start at zero, and with a
per-slot expression code beside the timestep in the adaptive layer norms, whose projection starts at zero. So a
pre-trained Wan model gives the same output before the first step, and `save_pretrained` writes diffusers' format.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from torch import Tensor, nn

from manifests.errors import UserError


@dataclass(frozen=True)
class TransformerSettings:
    """Size of the transformer; the defaults are those of the tiny one, made for a CPU."""

    layers: int = 4
    heads: int = 4
    head_dim: int = 32
    ffn_dim: int = 512
    patch: int = 1
    """Latents that make a token, along each edge."""
    text_dim: int = 64
    """Of the text branch, which no text is given to; 4096 for Wan's own weights."""
    freq_dim: int = 256
    cross_attention_norm: bool = True


class ConditionedTransformer(WanTransformer3DModel):
    """Tokens of the rows of `training.conditioning` in, the prediction for every slot out."""

    _no_split_modules = ["FrameModulatedBlock"]  # noqa: RUF012 (as diffusers declares it)
    _repeated_blocks = ["FrameModulatedBlock"]  # noqa: RUF012
    _keep_in_fp32_modules = [*WanTransformer3DModel._keep_in_fp32_modules, "expression_embedder"]  # noqa: RUF012

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 72,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        rope_max_seq_len: int = 1024,
        expression_channels: int = 513,
    ) -> None:
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=num_layers,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            rope_max_seq_len=rope_max_seq_len,
        )
        width = num_attention_heads * attention_head_dim
        self.blocks = nn.ModuleList(
            FrameModulatedBlock(width, ffn_dim, num_attention_heads, qk_norm, cross_attn_norm, eps)
            for _ in range(num_layers)
        )
        self.expression_embedder = ExpressionEmbedder(expression_channels, width)

    def register_to_config(self, **settings: Any) -> None:
        """diffusers'; without what its class has and ours does not take."""
        super().register_to_config(**{name: value for name, value in settings.items() if name not in _NOT_OURS})

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        expression: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
    ) -> Tensor:
        """Rows [B, C, S, h, w] at timesteps [B] or [B, S] in 0 to 1000, expression [B, S, E], text [B, L, text_dim]
        -> [B, out_channels, S, h, w]. Without text the text branch is given none, without expression zeros.
        """
        batch, _, slots, height, width = hidden_states.shape
        patch_t, patch_h, patch_w = self.config.patch_size
        slots, height, width = slots // patch_t, height // patch_h, width // patch_w
        if encoder_hidden_states is None:
            encoder_hidden_states = hidden_states.new_zeros(batch, 0, self.config.text_dim)
        rotary = self.rope(hidden_states)

        tokens = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()
        per_slot = timestep[:, None].expand(-1, slots) if timestep.ndim == 1 else timestep
        times, _, text, _ = self.condition_embedder(
            per_slot.flatten(), encoder_hidden_states, timestep_seq_len=slots
        )  # [B, S, dim]
        if expression is not None:
            times = times + self.expression_embedder(expression).to(times.dtype)
        modulation = self.condition_embedder.time_proj(self.condition_embedder.act_fn(times))
        modulation = modulation.unflatten(2, (6, -1))  # [B, S, 6, dim]

        for block in self.blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                tokens = self._gradient_checkpointing_func(block, tokens, text, modulation, rotary)
            else:
                tokens = block(tokens, text, modulation, rotary)

        shift, scale = (self.scale_shift_table[None] + times[:, :, None]).chunk(2, dim=2)  # [B, S, 1, dim]
        tokens = _modulate(self.norm_out(tokens.float()), shift, scale).type_as(tokens)
        out = self.proj_out(tokens).view(batch, slots, height, width, patch_t, patch_h, patch_w, -1)
        return out.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3).contiguous()

    def freeze_text(self) -> None:
        """Stop the gradients of what only text reaches, which is never given: DDP wants every other weight used."""
        for name, weight in self.named_parameters():
            if any(part in name for part in _OF_TEXT):
                weight.requires_grad_(False)


class FrameModulatedBlock(WanTransformerBlock):
    """Wan's block, modulated once a slot.

    diffusers' own per-token modulation costs gigabytes at full size; here [B, S, 6, dim] is broadcast over a slot's
    tokens.
    """

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor, temb: Tensor, rotary_emb: Any) -> Tensor:
        """Tokens [B, S n, dim], text [B, L, dim], modulation [B, S, 6, dim] -> tokens."""
        x = hidden_states
        table = self.scale_shift_table[None] + temb.float()
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = table.chunk(6, dim=2)  # each [B, S, 1, dim]

        attended = self.attn1(_modulate(self.norm1(x.float()), shift_a, scale_a).type_as(x), None, None, rotary_emb)
        x = (x.float() + _gate(attended, gate_a)).type_as(x)
        if encoder_hidden_states.shape[1]:
            x = x + self.attn2(self.norm2(x.float()).type_as(x), encoder_hidden_states, None, None)
        else:  # attention to nothing adds the bias alone; kernels given no keys may return what lay in memory
            x = x + self.attn2.to_out[0].bias.type_as(x)
        fed = self.ffn(_modulate(self.norm3(x.float()), shift_f, scale_f).type_as(x))
        return (x.float() + _gate(fed.float(), gate_f)).type_as(x)


class ExpressionEmbedder(nn.Module):
    """Expression codes [B, S, E] to what is added to the timestep's embedding [B, S, dim]; zero at the start."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, codes: Tensor) -> Tensor:
        out: Tensor = self.out(nn.functional.silu(self.hidden(codes.to(self.hidden.weight.dtype))))
        return out


def build_transformer(
    settings: TransformerSettings, *, latent_channels: int, in_channels: int, expression_channels: int
) -> ConditionedTransformer:
    """A transformer with fresh weights. Its output projection starts at zero, as in Peebles and Xie, "Scalable
    Diffusion Models with Transformers", 2023."""
    model = ConditionedTransformer(
        patch_size=(1, settings.patch, settings.patch),
        num_attention_heads=settings.heads,
        attention_head_dim=settings.head_dim,
        in_channels=in_channels,
        out_channels=latent_channels,
        text_dim=settings.text_dim,
        freq_dim=settings.freq_dim,
        ffn_dim=settings.ffn_dim,
        num_layers=settings.layers,
        cross_attn_norm=settings.cross_attention_norm,
        expression_channels=expression_channels,
    )
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.proj_out.bias)
    return model


def widen(
    base: WanTransformer3DModel, *, latent_channels: int, in_channels: int, expression_channels: int
) -> ConditionedTransformer:
    """A conditioned transformer that computes what ``base`` does from its own channels, and nothing yet from the rest.

    Raises UserError for a model that takes pictures, or whose channels are not the codec's ``latent_channels``.
    """
    config = dict(base.config)
    if config.get("image_dim") or config.get("added_kv_proj_dim"):
        raise UserError("transformer: the base model has an image branch; give a text-to-video one (Wan T2V or TI2V)")
    if (config["in_channels"], config["out_channels"]) != (latent_channels, latent_channels):
        raise UserError(
            f"transformer: the base model takes {config['in_channels']} channels and makes {config['out_channels']}, "
            f"the codec's latents have {latent_channels}; give a text-to-video base that was trained with the codec"
        )
    kept = {field: config[field] for field in _BASE_FIELDS}
    with torch.device(base.device):
        model = ConditionedTransformer(**kept, in_channels=in_channels, expression_channels=expression_channels)
    weights = base.state_dict()
    narrow = weights["patch_embedding.weight"]
    wide = narrow.new_zeros(narrow.shape[0], in_channels, *narrow.shape[2:])
    wide[:, : narrow.shape[1]] = narrow
    missing, unexpected = model.load_state_dict({**weights, "patch_embedding.weight": wide}, strict=False)
    if unexpected or any(not name.startswith("expression_embedder.") for name in missing):
        raise UserError(f"transformer: the base model's weights do not fit ({[*missing, *unexpected][0]})")
    return model if model.dtype == base.dtype else model.to(base.dtype)


def load_transformer(
    folder: str | Path, *, latent_channels: int, in_channels: int, expression_channels: int
) -> ConditionedTransformer:
    """A transformer from a folder in diffusers' format: one that was saved here, or a Wan model to be widened.

    Raises UserError when there is none, it cannot be read without unpickling, tensors are missing or do not belong
    there, or it is of another architecture.
    """
    folder = Path(folder)
    try:
        config = WanTransformer3DModel.load_config(folder, local_files_only=True)
        ours = config.get("_class_name") == ConditionedTransformer.__name__
        kind = ConditionedTransformer if ours else WanTransformer3DModel
        if not ours and config.get("_class_name") != WanTransformer3DModel.__name__:
            raise UserError(f"{folder}: holds a {config.get('_class_name')}, not a Wan transformer; give its folder")
        model, found = kind.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: no transformer in diffusers' format can be read there ({reason})") from None
    _check_tensors(folder, found)
    if not ours:
        return widen(
            model,
            latent_channels=latent_channels,
            in_channels=in_channels,
            expression_channels=expression_channels,
        )
    seen = tuple(model.config[name] for name in ("in_channels", "out_channels", "expression_channels"))
    if seen != (in_channels, latent_channels, expression_channels):
        raise UserError(
            f"{folder}: takes {seen[0]} channels and {seen[2]} of expression and makes {seen[1]}, the codec and "
            f"encoder given want {in_channels}, {expression_channels} and {latent_channels}; give those it was "
            "trained with"
        )
    return model


def _check_tensors(folder: Path, found: dict[str, list[str]]) -> None:
    """diffusers only warns, and leaves what is missing without any memory; another shape it refuses itself."""
    for what, kind in (("the file lacks", "missing_keys"), ("the model has no place for", "unexpected_keys")):
        if names := sorted(found[kind]):
            raise UserError(
                f"{folder}: {what} {len(names)} tensors, such as {names[0]}; take another copy of the model"
            )


def _modulate(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Tokens [B, S n, dim] by [B, S, 1, dim], the same for all n of a slot."""
    by_slot = tokens.unflatten(1, (shift.shape[1], -1))
    return (by_slot * (1 + scale) + shift).flatten(1, 2)


def _gate(tokens: Tensor, gate: Tensor) -> Tensor:
    return (tokens.unflatten(1, (gate.shape[1], -1)) * gate).flatten(1, 2)


_NOT_OURS = ("image_dim", "added_kv_proj_dim", "pos_embed_seq_len")

_OF_TEXT = (
    "text_embedder.", ".norm2.", ".attn2.to_q.", ".attn2.to_k.", ".attn2.to_v.", ".attn2.norm_q.", ".attn2.norm_k.",
    ".attn2.to_out.0.weight",
)  # fmt: skip
"""Parts of the names of weights that make no difference without text."""

_BASE_FIELDS = (
    "patch_size", "num_attention_heads", "attention_head_dim", "out_channels", "text_dim", "freq_dim", "ffn_dim",
    "num_layers", "cross_attn_norm", "qk_norm", "eps", "rope_max_seq_len",
)  # fmt: skip
