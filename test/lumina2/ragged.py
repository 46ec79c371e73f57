"""Writes ragged.json: what the published transformers compute for captions of different lengths.

Usage, in this folder: python ragged.py > ragged.json
(torch 2.13, diffusers 0.40, einops; the published repository, MM-MVR/STAR, on PYTHONPATH)
"""

import json
from pathlib import Path

import torch
from diffusers import Lumina2Transformer2DModel
from safetensors.torch import load_file
from star.models.pixel_decoder import transformer_lumina2_seq

# The published file takes this name from diffusers, where it no longer is.
transformer_lumina2_seq.USE_PEFT_BACKEND = False

root = Path(__file__).parent.parent / "reference/tiny-a"
folder = root / "checkpoints/lumina-image2-tiny/transformer"
given = load_file(root / "expected/diffusion_transformer.safetensors")
lengths = [5, 33]
caption = given["encoder_hidden_states"].flip(1)
mask = (torch.arange(caption.shape[1])[None] < torch.tensor(lengths)[:, None]).to(torch.int64)


def sample(model, states):
    with torch.no_grad():
        return model.float().eval()(states, given["timestep"], caption, mask, return_dict=False)[0]


def every(tensor, step):
    return [float(value) for value in tensor.flatten()[::step]]


lumina = Lumina2Transformer2DModel.from_pretrained(folder)
channels = lumina.config.in_channels
half = given["hidden_states"].shape[2] // 2

star = transformer_lumina2_seq.Lumina2Transformer2DModel.from_pretrained(folder)
prefix = "diffusion_decoder.transformer."
state = torch.load(root / "checkpoints/STAR-tiny.pt", map_location="cpu", weights_only=True)["state_dict"]
state = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
hidden = star.noise_refiner[-1].dim
star.x_embedder = torch.nn.Linear(state["x_embedder.weight"].shape[1], hidden)
star.ori_inp_refiner = torch.nn.Sequential(
    torch.nn.Linear(hidden, hidden), torch.nn.GELU(approximate="tanh"), torch.nn.Linear(hidden, hidden, bias=False)
)
star.ori_inp_dit = "seq"
star.load_state_dict(state)

print(
    json.dumps(
        {
            "lengths": lengths,
            "step": 3,
            "lumina": every(sample(lumina, given["hidden_states"][:, :channels, :half]), 3),
            "star": every(sample(star, given["hidden_states"]), 3),
        }
    )
)
