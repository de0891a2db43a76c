"""The transformer is Wan's until it has learnt more, tells slots apart, and goes through diffusers' format."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file, save_file

from manifests.errors import UserError
from training.dit import ConditionedTransformer, TransformerSettings, build_transformer, load_transformer, widen

SMALL = TransformerSettings(layers=2, heads=2, head_dim=24, ffn_dim=48, patch=2, text_dim=16, freq_dim=32)


OURS = {"latent_channels": 4, "in_channels": 18, "expression_channels": 5}
WAN = {"latent_channels": 16, "in_channels": 72, "expression_channels": 9}


def base_model(in_channels: int = 16) -> WanTransformer3DModel:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=24, in_channels=in_channels, out_channels=16, text_dim=16,
            freq_dim=32, ffn_dim=48, num_layers=2,
        ).eval()  # fmt: skip


def transformer() -> ConditionedTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = build_transformer(SMALL, latent_channels=4, in_channels=18, expression_channels=5)
        torch.nn.init.normal_(model.proj_out.weight)
        torch.nn.init.normal_(model.expression_embedder.out.weight, std=0.5)
        return model.eval()


@torch.no_grad()
def test_a_widened_model_gives_the_bases_output_whatever_it_is_told() -> None:
    base = base_model()
    model = widen(base, latent_channels=16, in_channels=72, expression_channels=9).eval()
    rows, text = torch.randn(2, 72, 3, 8, 8), torch.randn(2, 7, 16)
    times = torch.tensor([300.0, 700.0])
    wanted = base(rows[:, :16], times, text, return_dict=False)[0]
    seen = model(rows, times, torch.randn(2, 3, 9), text)
    torch.testing.assert_close(seen, wanted, rtol=1e-5, atol=2e-6)
    per_token = base(rows[:, :16], times[:, None].expand(-1, 48), text, return_dict=False)[0]
    torch.testing.assert_close(seen, per_token, rtol=1e-5, atol=2e-6)


def test_what_is_new_in_a_widened_model_gets_gradients() -> None:
    model = widen(base_model(), latent_channels=16, in_channels=72, expression_channels=9)
    model(torch.randn(1, 72, 3, 8, 8), torch.tensor([500.0]), torch.randn(1, 3, 9)).square().mean().backward()
    assert model.patch_embedding.weight.grad is not None
    assert model.patch_embedding.weight.grad[:, 16:].abs().max() > 0
    assert model.expression_embedder.out.weight.grad is not None
    assert model.expression_embedder.out.weight.grad.abs().max() > 0


@torch.no_grad()
def test_an_expression_modulates_its_own_slot() -> None:
    """With attention between slots shut off, a code changes the output of its slot and of no other."""
    model = transformer()
    for block in model.blocks:
        torch.nn.init.zeros_(block.attn1.to_out[0].weight)
    rows, code = torch.randn(1, 18, 4, 4, 4), torch.zeros(1, 4, 5)
    before = model(rows, torch.tensor([500.0]), code)
    code[:, 2] = 1
    changed = (model(rows, torch.tensor([500.0]), code) - before).abs().amax(dim=(0, 1, 3, 4))
    assert changed[2] > 1e-3
    assert changed[[0, 1, 3]].max() < 1e-5


@torch.no_grad()
def test_it_goes_through_diffusers_format_unchanged(tmp_path: Path) -> None:
    model = transformer()
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["in_channels"] == 18
    again = load_transformer(tmp_path, **OURS).eval()
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


@torch.no_grad()
def test_what_is_saved_is_what_is_taken(tmp_path: Path) -> None:
    """diffusers tells of each attribute of a config that a class does not take."""
    build_transformer(SMALL, **OURS).save_pretrained(tmp_path)
    saved = {name for name in json.loads((tmp_path / "config.json").read_text()) if not name.startswith("_")}
    assert saved <= set(inspect.signature(ConditionedTransformer.__init__).parameters)


def test_a_wan_model_on_disk_is_widened(tmp_path: Path) -> None:
    base = base_model()
    base.save_pretrained(tmp_path)
    model = load_transformer(tmp_path, **WAN).eval()
    rows, text = torch.randn(1, 72, 2, 4, 4), torch.randn(1, 3, 16)
    wanted = base(rows[:, :16], torch.tensor([100.0]), text, return_dict=False)[0]
    torch.testing.assert_close(model(rows, torch.tensor([100.0]), None, text), wanted, rtol=1e-5, atol=2e-6)


def test_unfit_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no transformer"):
        load_transformer(tmp_path, **OURS)
    transformer().save_pretrained(tmp_path / "ours")
    with pytest.raises(UserError, match="takes 18 channels and 5"):
        load_transformer(tmp_path / "ours", **{**OURS, "in_channels": 24})
    base_model().save_pretrained(tmp_path / "wan")
    base_model(in_channels=36).save_pretrained(tmp_path / "to-picture")
    with pytest.raises(UserError, match="takes 36 channels and makes 16"):
        load_transformer(tmp_path / "to-picture", **WAN)
    with pytest.raises(UserError, match=r"and makes 4, the codec .* and 6;"):
        load_transformer(tmp_path / "ours", **{**OURS, "latent_channels": 6})
    with pytest.raises(UserError, match="takes 16 channels and makes 16, the codec's latents have 48"):
        load_transformer(tmp_path / "wan", **{**WAN, "latent_channels": 48, "in_channels": 168})
    (tmp_path / "wan" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0not a header")
    with pytest.raises(UserError, match="can be read there"):
        load_transformer(tmp_path / "wan", **WAN)
    torch.save(base_model().state_dict(), tmp_path / "wan" / "diffusion_pytorch_model.bin")
    (tmp_path / "wan" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="can be read there"):  # a pickle is never read
        load_transformer(tmp_path / "wan", **WAN)


def drop(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["blocks.1.ffn.net.2.weight"]


def reshape(tensors: dict[str, torch.Tensor]) -> None:
    tensors["proj_out.bias"] = torch.zeros(7)


def add(tensors: dict[str, torch.Tensor]) -> None:
    tensors["blocks.2.scale_shift_table"] = torch.zeros(1, 6, 48)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (drop, "the file lacks 1 tensors, such as blocks.1.ffn.net.2.weight"),
        (reshape, "proj_out.bias"),
        (add, "no place for 1 tensors, such as blocks.2.scale_shift_table"),
    ],
)
@pytest.mark.parametrize("kind", ["ours", "wan"])
def test_tensors_that_do_not_fit_are_refused(
    kind: str, damage: Callable[[dict[str, torch.Tensor]], None], said: str, tmp_path: Path
) -> None:
    (transformer() if kind == "ours" else base_model()).save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    damage(tensors)
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(UserError, match=said):
        load_transformer(tmp_path, **(OURS if kind == "ours" else WAN))


def test_without_text_every_trained_weight_gets_a_gradient() -> None:
    """As DDP wants it."""
    model = transformer().train()
    model.freeze_text()
    model(torch.randn(1, 18, 3, 4, 4), torch.tensor([500.0]), torch.randn(1, 3, 5)).square().mean().backward()
    assert [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None] == []


@torch.no_grad()
def test_samples_of_a_batch_do_not_reach_one_another() -> None:
    model = transformer()
    rows, code = torch.randn(2, 18, 3, 4, 4), torch.randn(2, 3, 5)
    before = model(rows, torch.tensor([500.0, 500.0]), code)
    code[1] = torch.nan
    after = model(rows, torch.tensor([500.0, 500.0]), code)
    assert torch.equal(after[0], before[0])
    assert after[1].isnan().all()


def test_checkpointed_activations_give_the_same_gradients() -> None:
    rows, code = torch.randn(1, 18, 3, 4, 4), torch.randn(1, 3, 5)
    grads = []
    for checkpointed in (False, True):
        model = transformer().train()
        if checkpointed:
            model.enable_gradient_checkpointing()
        model(rows, torch.tensor([500.0]), code).square().mean().backward()
        grads.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    assert all(torch.equal(grads[0][name], grads[1][name]) for name in grads[0])
