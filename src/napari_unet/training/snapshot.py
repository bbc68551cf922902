"""The model of a training at one of its steps."""

from __future__ import annotations

import torch

from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.training.setup import ResolvedSettings, TrainingSetup
from napari_unet.training.state import LoopState, Weights


def make_model(setup: TrainingSetup, state: LoopState, weights: Weights) -> Model:
    """A model with these weights, which it does not copy, and a card of the current step."""
    with torch.device("meta"):  # random values would come out of the caller's random state
        network = UNet(state.network.config)
    network.load_state_dict(weights, assign=True)
    card = setup.make_card(state.step, state.seconds, resolved_settings(setup, state))
    # what the base carries goes on with a model that was to keep it
    carried = setup.base.replay if setup.base is not None and setup.replay else b""
    return Model(card, network.eval(), replay=carried)


def resolved_settings(setup: TrainingSetup, state: LoopState) -> ResolvedSettings:
    """Settings that the training chose or had to change."""
    regression = setup.data.target_spec.task == "regression"
    loss = setup.config.loss
    return {
        "batch_size": state.batch_size,
        "patch": state.patch,
        "device": str(state.device),
        "precision": state.precision,
        "statistics": setup.statistics,
        "loss": "mae" if regression and loss == "auto" else loss,
    }
