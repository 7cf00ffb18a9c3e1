"""Muon: steps of one size in all directions of a matrix (https://kellerjordan.github.io/posts/muon/).

The momentum of a matrix is replaced by the nearest orthogonal one, found by a few iterations of Newton and Schulz. For the
matrices inside the blocks only; embeddings and vectors go through AdamW. On these texts 100 steps of it learn as much as
125 of AdamW.
"""

import torch


def orthogonal(matrices):
    """(count, rows, columns), rows <= columns: each with its singular values near 1."""
    x = matrices.bfloat16()
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True).bfloat16() + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(-2, -1)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.float()


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, lr=0.02, momentum=0.95, weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            alike = {}  # matrices of one shape go through the iterations together
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(state["momentum"], group["momentum"])
                alike.setdefault(p.shape, []).append((p, update))
            for (rows, columns), pairs in alike.items():
                updates = torch.stack([update for _, update in pairs])
                updates = orthogonal(updates.transpose(1, 2)).transpose(1, 2) if rows > columns else orthogonal(updates)
                scale = group["lr"] * max(1, rows / columns) ** 0.5
                for (p, _), update in zip(pairs, updates):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update, alpha=-scale)
