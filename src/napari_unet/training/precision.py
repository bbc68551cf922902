"""The number format of a training: chosen by a trial step, left where it gives no numbers.

oneDNN on a CPU with AMX gave NaN for the weight gradient of a 3D convolution in bfloat16, so
that no reduced format is trusted before it was tried, nor afterwards. With other sizes it wrote
past its memory and ended the process (torch 2.13, patches of 6 planes), which no trial survives: on
a CPU "auto" trains 3D networks in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_unet.errors import Note, SettingsError
from napari_unet.network.precision import DTYPES, choose_precision, device_capability
from napari_unet.training.batch_norm import find_norms
from napari_unet.training.losses import Loss
from napari_unet.training.patch_sampling import Batch, BatchSampler
from napari_unet.training.state import LoopState

MAX_GRADIENT_NORM = 5.0
# Of a trial step in bfloat16, relative to the norm in float32: well above sound steps of new
# networks (two patches, five levels: 0.24 to 0.38 in 2D), well below a wrong gradient, which is as
# far from the right one as from none: 1 and more.
MAX_GRADIENT_DIFFERENCE = 0.7
TRIAL_PATCHES = 2  # of a batch: what a format does shows in few
LOWER_LEARNING_RATE = 0.1


def choose_training_precision(
    precision: str, state: LoopState, batches: BatchSampler, loss: Loss
) -> str:
    """The number format of the forward pass of a training.

    "auto" is bfloat16 where `choose_precision` takes it for a prediction, and where one trial
    step of this network on a first batch gives finite gradients that are close to those in
    float32; 3D networks on a CPU are not tried. Equal trainings get the same answer: the batch
    depends on the seed alone. The state is left as it was.

    Parameters
    ----------
    precision : str
        The setting.
    state : LoopState
        Before the first step, its network in training mode.
    batches : BatchSampler
        Where the training draws its batches.
    loss : Loss
        Of the task.

    Raises
    ------
    SettingsError
        For float16, and for bfloat16 where it would end the process.
    """
    if precision == "float16":
        raise SettingsError(
            "⟨precision⟩ 'float16' loses small gradients in training",
            "use 'auto' or 'bfloat16'",
            parameter="precision",
            value=precision,
        )
    capability = device_capability(state.device)
    unsafe = state.device.type == "cpu" and state.network.config.ndim == 3
    if precision == "bfloat16" and unsafe and capability.bfloat16_matrix_units:
        raise SettingsError(
            "A 3D training in ⟨precision⟩ 'bfloat16' can end the whole program on this CPU",
            "use 'auto', which takes float32 there",
            parameter="precision",
            value=precision,
        )
    if precision != "auto":
        return precision
    chosen = choose_precision(capability, state.network.config)
    if chosen == "float32" or unsafe:
        return "float32"
    try:
        with state.preserve_random_state():
            batch = Batch(*(part[:TRIAL_PATCHES] for part in batches.draw(state)))
        difference = gradient_difference(state.network, batch, loss, chosen)
    except (RuntimeError, MemoryError):
        return "float32"  # it does not run, or not in this memory: the first step sees to that
    return chosen if difference <= MAX_GRADIENT_DIFFERENCE else "float32"


def gradient_difference(network: nn.Module, batch: Batch, loss: Loss, precision: str) -> float:
    """How far gradients in a number format are from those in float32, relative to their norm.

    Infinite where one of them is not finite. The network is not changed, but for its gradients,
    which are dropped.
    """
    statistics = _copy_statistics(network)
    found = []
    try:
        for each in ("float32", precision):
            if compute_gradients(network, batch, loss, each, clip=False) is None:
                return math.inf
            gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
            found.append(torch.cat(gradients))
            _restore_statistics(statistics)
    finally:
        _restore_statistics(statistics)
        network.zero_grad(set_to_none=True)
    single, reduced = found
    norm = torch.linalg.vector_norm
    return float(norm(reduced - single) / norm(single).clamp_min(1e-12))


def compute_gradients(
    network: nn.Module, batch: Batch, loss: Loss, precision: str, *, clip: bool = True
) -> float | None:
    """Forward and backward pass; the loss, or None where it or a gradient is not finite.

    Then there are no gradients, and the statistics of batch norm are those from before.
    """
    statistics = _copy_statistics(network)
    network.zero_grad(set_to_none=True)
    value = loss(run_network(network, batch.image, precision), batch.target, batch.known)
    if math.isfinite(float(value.detach())):
        value.backward()  # type: ignore[no-untyped-call]
        if accept_gradients(network, clip=clip):
            return float(value.detach())
    network.zero_grad(set_to_none=True)
    _restore_statistics(statistics)
    return None


def run_network(network: nn.Module, image: Tensor, precision: str) -> Tensor:
    """Logits of patches, the layers in a number format."""
    with torch.autocast(image.device.type, DTYPES[precision], enabled=precision != "float32"):
        logits: Tensor = network(image)
    return logits


def accept_gradients(network: nn.Module, *, clip: bool = True) -> bool:
    """Whether the gradients are finite; clipped to `MAX_GRADIENT_NORM`, or dropped."""
    most = MAX_GRADIENT_NORM if clip else math.inf
    if math.isfinite(float(nn.utils.clip_grad_norm_(network.parameters(), most))):
        return True
    network.zero_grad(set_to_none=True)
    return False


Statistics = list[tuple[Tensor, Tensor]]


def _copy_statistics(network: nn.Module) -> Statistics:
    """The buffers of batch norm, and copies of them."""
    return [(b, b.clone()) for norm in find_norms(network) for b in norm.buffers()]


def _restore_statistics(statistics: Statistics) -> None:
    for current, before in statistics:
        current.copy_(before)


def recover(state: LoopState) -> Note | None:
    """Prepare the state for another batch after a step that was dropped.

    Under a reduced number format: float32 from now on, with the weights from before the step.
    In float32: the batch is skipped the first time; the second time the learning rate is
    lowered and training goes on from the last weights that were validated.

    Returns
    -------
    Note or None
        What was done: "format-left", "batch-skipped" or "learning-rate-lowered"; None where
        nothing is left to try.
    """
    step = state.step + 1
    if state.precision != "float32":
        reduced, state.precision = state.precision, "float32"
        return Note(
            "format-left",
            f"Step {step} gave no finite numbers in {reduced}: it was dropped, and training goes "
            "on in float32",
        )
    state.dropped_steps += 1
    if state.dropped_steps == 1:
        return Note(
            "batch-skipped",
            f"A batch of step {step} gave no finite loss or gradient; it was skipped",
        )
    if state.dropped_steps == 2:
        state.learning_rate_factor *= LOWER_LEARNING_RATE
        weights = state.best_weights or state.sound_weights
        if weights is not None:
            state.network.load_state_dict(weights)
            state.optimizer.forget()
        return Note(
            "learning-rate-lowered",
            f"A batch of step {step} gave no finite loss or gradient either: training goes on "
            "with a tenth of the ⟨learning_rate⟩" + (" from its best weights" if weights else ""),
        )
    return None
