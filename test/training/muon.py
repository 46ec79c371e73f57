"""Writes muon.json: what torch.optim.Muon does to two matrices in three steps, in float64.

usage: python muon.py > muon.json      (torch 2.13)

PyTorch's iteration runs in bfloat16; here the cast is left out, so that its numbers can be compared.
"""

import json

import torch

torch.Tensor.bfloat16 = lambda self: self.clone()
torch.manual_seed(0)


def numbers(shape, scale):
    return (torch.randn(shape, dtype=torch.float64) * scale).float().double()


def rounded(values):
    return [float(f"{value:.9g}") for value in values.flatten().tolist()]


shapes = [[6, 4], [3, 8]]
rates = [0.02, 0.01, 0.03]
weights = [numbers(shape, 0.5) for shape in shapes]
gradients = [[numbers(shape, 0.02) for shape in shapes] for _ in rates]
parameters = [torch.nn.Parameter(weight.clone()) for weight in weights]
optimizer = torch.optim.Muon(parameters, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
steps = []
for rate, step in zip(rates, gradients):
    optimizer.param_groups[0]["lr"] = rate
    for parameter, gradient in zip(parameters, step):
        parameter.grad = gradient.clone()
    optimizer.step()
    steps.append([rounded(parameter.detach()) for parameter in parameters])
print(
    json.dumps(
        {
            "weightDecay": 0.1,
            "rates": rates,
            "shapes": shapes,
            "weights": [rounded(weight) for weight in weights],
            "gradients": [[rounded(gradient) for gradient in step] for step in gradients],
            "steps": steps,
            "momentum": [rounded(optimizer.state[parameter]["momentum_buffer"]) for parameter in parameters],
        }
    )
)
