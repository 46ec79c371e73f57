"""Writes adamw.json: what torch.optim.AdamW and clip_grad_norm_ do to two tensors in five steps.

usage: python adamw.py > adamw.json      (torch 2.13)
"""
import json
import torch

torch.manual_seed(3)
settings = dict(beta1=0.8, beta2=0.95, epsilon=1e-6, weightDecay=0.1, clipNorm=1.5)
rates = [1e-2, 2e-2, 5e-3, 1e-2, 0.0]
weights = [torch.randn(3, 4), torch.randn(4)]
gradients = [[torch.randn(3, 4) * scale, torch.randn(4) * scale] for scale in (0.1, 3.0, 0.5, 1e-3, 1.0)]


def run(decayed):
    params = [torch.nn.Parameter(w.clone()) for w in weights]
    groups = [dict(params=[p], weight_decay=settings["weightDecay"] if decayed == "all" or p.dim() > 1 else 0.0) for p in params]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(settings["beta1"], settings["beta2"]), eps=settings["epsilon"], foreach=False)
    steps = []
    for rate, step in zip(rates, gradients):
        for p, g in zip(params, step):
            p.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_(params, settings["clipNorm"])
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        steps.append(dict(norm=norm.item(), weights=[p.detach().flatten().tolist() for p in params]))
    moments = [[optimizer.state[p][key].flatten().tolist() for p in params] for key in ("exp_avg", "exp_avg_sq")]
    return dict(steps=steps, firstMoments=moments[0], secondMoments=moments[1])


print(json.dumps(dict(
    settings=settings, rates=rates, shapes=[list(w.shape) for w in weights],
    weights=[w.flatten().tolist() for w in weights],
    gradients=[[g.flatten().tolist() for g in step] for step in gradients],
    results={decayed: run(decayed) for decayed in ("matrices", "all")},
)))
