"""Losses: hand-computed values, and pixels that are not known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from napari_unet.card import Task
from napari_unet.instances.maps import BOUNDARY
from napari_unet.training.losses import dice_loss_of, mean_of, sum_dice_terms, task_loss

TASKS: tuple[Task, ...] = ("instance", "semantic", "regression")
SHAPES = ((6, 7), (3, 4, 5))


def case(task: Task, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits and a target of a batch of two."""
    random = torch.Generator().manual_seed(seed)
    if task == "semantic":
        target = torch.randint(0, 3, (2, 1, *shape), generator=random).float()
        return torch.randn((2, 3, *shape), generator=random), target
    target = torch.rand((2, 2, *shape), generator=random)
    if task == "instance":
        target[:, 0] = (target[:, 0] > 0.5).float()
        target[:, 1] *= target[:, 0]
    return torch.randn((2, 2, *shape), generator=random), target


def perfect(task: Task, target: Tensor) -> Tensor:
    """Logits that say the target."""
    if task == "semantic":
        return F.one_hot(target[:, 0].long(), 3).movedim(-1, 1) * 40.0
    return torch.logit(target, eps=1e-7) if task == "instance" else target.clone()


def test_a_mean_of_nothing_is_0() -> None:
    assert mean_of(torch.tensor(6.0), torch.tensor(4.0)).item() == 1.5
    assert mean_of(torch.tensor(0.0), torch.tensor(0.0)).item() == 0


def test_soft_dice_of_a_hand_computed_case() -> None:
    probability = torch.tensor([[[[1.0, 0.5, 0.0, 1.0]]]])
    target = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])
    known = torch.tensor([[[[1.0, 1.0, 1.0, 0.0]]]])
    # overlap 1.5, sums 1.5 and 2, one added above and below
    loss = dice_loss_of(*sum_dice_terms(probability, target, known))
    assert loss.item() == pytest.approx(1 - 4 / 4.5)


@pytest.mark.parametrize("task", TASKS)
@given(seed=st.integers(0, 1000))
def test_sums_of_parts_add_up(task: Task, seed: int) -> None:
    logits, target = case(task, (6, 7), seed)
    if task == "instance":  # some of it only bounded above, some at borders
        random = torch.Generator().manual_seed(seed)
        target = torch.cat([target, torch.rand(2, 3, 6, 7, generator=random).round()], 1)
    known = (torch.rand(2, 1, 6, 7, generator=torch.Generator().manual_seed(seed)) < 0.7).float()
    loss = task_loss(task, border_weight=2.0)
    each = zip(logits.split(1), target.split(1), known.split(1), strict=True)
    parts = [loss.sums(*part) for part in each]
    assert loss.combine(torch.stack(parts).sum(0)).item() == pytest.approx(
        loss(logits, target, known).item(), rel=1e-5, abs=1e-6
    )


def test_regression_errors_of_a_hand_computed_case() -> None:
    logits = torch.tensor([[[[1.0, 2.0, 3.0, 100.0]]]])
    target = torch.tensor([[[[1.5, 0.0, 3.0, 0.0]]]])
    known = torch.tensor([[[[1.0, 1.0, 1.0, 0.0]]]])
    absolute, squared = (0.5 + 2) / 3, (0.25 + 4) / 3
    assert task_loss("regression")(logits, target, known).item() == pytest.approx(absolute)
    assert task_loss("regression", "mae")(logits, target, known).item() == pytest.approx(absolute)
    assert task_loss("regression", "mse")(logits, target, known).item() == pytest.approx(squared)


def test_instance_loss_of_undecided_logits() -> None:
    logits = torch.zeros(1, 2, 1, 4)  # probability 1/2 everywhere
    target = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]], [[0.75, 0.0, 0.0, 0.0]]]])
    known = torch.ones(1, 1, 1, 4)
    entropy = math.log(2)  # at probability 1/2 any soft label costs this
    dice = 1 - (2 * 0.5 + 1) / (2 + 1 + 1)
    inside, outside = entropy + 0.25, entropy + 0.5  # one pixel weighs as much as three
    expected = entropy + 0.5 * dice + 0.5 * (inside + outside)
    assert task_loss("instance")(logits, target, known).item() == pytest.approx(expected)


def test_boundary_loss_of_a_hand_computed_case() -> None:
    """Four pixels of an object, the second of which is boundary and the last not determined."""
    logits = torch.zeros(1, 2, 1, 5)  # probability 1/2 everywhere; the fifth is background
    target = torch.zeros(1, 5, 1, 5)
    target[0, 0, 0] = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    target[0, 1, 0] = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    target[0, 2, 0] = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])
    target[0, 4] = 1
    loss = task_loss("instance", representation=BOUNDARY)
    known = torch.ones(1, 1, 1, 5)
    of_foreground = 1 - (2 * 2 + 1) / (4 + 2.5 + 1)
    of_boundary = 1 - (2 * 0.5 + 1) / (1 + 1.5 + 1)  # over the three exact pixels of the object
    expected = 2 * math.log(2) + 0.5 * (of_foreground + of_boundary)
    assert loss(logits, target, known).item() == pytest.approx(expected)
    target[0, 1, 0, 3] = 1  # what is not determined has no say
    assert loss(logits, target, known).item() == pytest.approx(expected)
    perfect_logits = torch.where(target[:, :2] > 0.5, 40.0, -40.0)
    assert loss(perfect_logits, target, known).item() == pytest.approx(0, abs=1e-5)
    logits.requires_grad_()
    nothing = loss(logits, target, torch.zeros_like(known))
    (gradient,) = torch.autograd.grad(nothing, logits)
    assert nothing.item() == 0
    assert (gradient == 0).all()


def test_semantic_loss_of_undecided_logits() -> None:
    logits = torch.zeros(1, 2, 1, 4)
    target = torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]])
    known = torch.ones(1, 1, 1, 4)
    dice = 1 - ((2 * 1.5 + 1) / (2 + 3 + 1) + (2 * 0.5 + 1) / (2 + 1 + 1)) / 2
    loss = task_loss("semantic")(logits, target, known)
    assert loss.item() == pytest.approx(math.log(2) + dice)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("task", TASKS)
def test_a_perfect_prediction_costs_least(task: Task, shape: tuple[int, ...]) -> None:
    logits, target = case(task, shape)
    known = torch.ones(2, 1, *shape)
    loss = task_loss(task)
    best = perfect(task, target)
    costs = [loss(best + amount * (logits - best), target, known).item() for amount in (0, 0.95, 1)]
    assert costs == sorted(costs)
    assert costs[1] - costs[0] > 0.01
    floor = 0.0
    if task == "instance":  # the entropy of a soft label, the distance, stays
        distance = target[:, 1][target[:, 0] > 0]
        floor = 0.5 * F.binary_cross_entropy(distance, distance).item()
    assert costs[0] == pytest.approx(floor, abs=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("task", TASKS)
@given(seed=st.integers(0, 1000))
def test_unknown_pixels_have_no_say(task: Task, shape: tuple[int, ...], seed: int) -> None:
    logits, target = case(task, shape, seed)
    random = torch.Generator().manual_seed(seed)
    known = (torch.rand((2, 1, *shape), generator=random) < 0.5).float()
    logits.requires_grad_()
    loss = task_loss(task)
    value = loss(logits, target, known)
    (gradient,) = torch.autograd.grad(value, logits)
    unknown = (known == 0).expand_as(gradient)
    assert (gradient[unknown] == 0).all()
    assert (gradient[~unknown] != 0).any()
    with torch.no_grad():  # nor does what stands there
        changed = torch.where(unknown, logits + 3, logits)
        other = torch.where((known == 0).expand_as(target), 1 - target.clamp(0, 1), target)
        assert torch.equal(loss(changed, other, known), value)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_known_gives_no_gradient(task: Task) -> None:
    logits, target = case(task, (4, 4))
    logits.requires_grad_()
    value = task_loss(task)(logits, target, torch.zeros(2, 1, 4, 4))
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.item() == 0
    assert (gradient == 0).all()


def test_losses_are_computed_in_float32() -> None:
    logits, target = case("instance", (6, 7))
    value = task_loss("instance")(logits.bfloat16(), target, torch.ones(2, 1, 6, 7))
    assert value.dtype == torch.float32
