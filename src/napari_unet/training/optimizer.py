"""AdamW on the parameters of a network.

`torch.optim.AdamW` loads torch's compiler as it is made, which takes seconds, a few hundred
modules and 70 MB for a training that compiles nothing. Its functional form, with which the
arithmetic is done here, does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Parameters
    ----------
    parameters : iterable of torch.nn.Parameter
        What is optimized; those without a gradient are left as they are.
    learning_rate, weight_decay : float
        The learning rate may change between steps.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self._state: dict[int, dict[str, Tensor]] = {}  # by the number of the parameter

    def step(self) -> None:
        """Change the parameters by their gradients."""
        numbers = [i for i, each in enumerate(self.parameters) if each.grad is not None]
        for number in numbers:
            if number not in self._state:
                self._state[number] = _begin(self.parameters[number])
        states = [self._state[number] for number in numbers]
        with torch.no_grad():
            adamw(
                [self.parameters[number] for number in numbers],
                [self.parameters[number].grad for number in numbers],  # type: ignore[misc]
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [state["step"] for state in states],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=self.learning_rate,
                weight_decay=self.weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def zero_gradients(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def forget(self) -> None:
        """Drop the moments, which belong to other weights."""
        self._state.clear()

    def state_dict(self) -> dict[str, Any]:
        """The moments, as in the dictionary of `torch.optim.AdamW`."""
        return {"state": {number: dict(state) for number, state in self._state.items()}}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned, here or of `torch.optim.AdamW`."""
        self._state = {
            int(number): {
                # in the layout of the parameter, as they began
                name: torch.empty_like(start).copy_(state[name])
                for name, start in _begin(self.parameters[int(number)]).items()
            }
            for number, state in values["state"].items()
        }


def _begin(parameter: nn.Parameter) -> dict[str, Tensor]:
    zeros = torch.zeros_like(parameter, memory_format=torch.preserve_format).detach()
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "exp_avg": zeros,
        "exp_avg_sq": zeros.clone(),
    }
