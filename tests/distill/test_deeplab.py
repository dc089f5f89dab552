from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from cleancut.distill.config import TrainConfig
from cleancut.distill.nets.blocks import MobileNetV2
from cleancut.distill.nets.build import build
from cleancut.distill.nets.deeplab import DeepLabV3Plus, SpatialPyramid
from cleancut.distill.nets.start import start_encoder_from_modnet


def small() -> DeepLabV3Plus:
    torch.manual_seed(8)
    return DeepLabV3Plus(pyramid=16, decoder=16)


@torch.no_grad()
def answer(net: nn.Module, image: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = net.eval()(image)
    return logits


def test_the_portrait_students_answer_is_as_large_as_its_picture() -> None:
    for height, width in ((64, 64), (96, 160)):
        assert answer(small(), torch.zeros(2, 3, height, width)).shape == (2, 1, height, width)


def test_the_portrait_student_has_fewer_than_three_million_weights() -> None:
    net = build(TrainConfig(kind="portrait"))
    assert sum(weights.numel() for weights in net.parameters()) < 3_000_000


def test_what_else_is_in_a_batch_does_not_matter() -> None:
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(8))
    net = small()
    assert torch.allclose(answer(net, images)[1:2], answer(net, images[1:2]), atol=1e-5)


def test_the_pyramid_sees_the_whole_picture_from_every_position() -> None:
    pyramid = SpatialPyramid(8, 8, (2,)).eval()
    x = torch.randn(1, 8, 20, 20, requires_grad=True)
    pyramid(x)[..., 0, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(1) > 0).all()


def test_faint_features_stay_faint() -> None:
    """Normalised by itself, a picture without a person would look like one with one."""
    pyramid = SpatialPyramid(8, 8, (2,)).eval()
    for branch in pyramid.branches:
        if isinstance(getattr(branch, "mix", None), nn.Conv2d):
            nn.init.zeros_(branch.mix.bias)
    x = torch.randn(1, 8, 20, 20)
    with torch.no_grad():
        assert torch.allclose(pyramid(x * 0.01), pyramid(x) * 0.01, atol=1e-6)


def test_a_batch_of_one_can_be_learnt_from() -> None:
    net = small().train()
    net(torch.randn(1, 3, 64, 64)).mean().backward()
    assert net.decoder.out.weight.grad is not None


def test_it_learns_where_a_person_is_and_that_there_is_none() -> None:
    """Of features in which the first channel means "person"; an encoder costs too much here."""
    net = small().train()
    head = nn.ModuleList([net.pyramid, net.decoder])
    optimizer = torch.optim.AdamW(head.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(8)
    losses, means = [], (0.0, 0.0)
    for _ in range(40):
        deep = 0.1 * torch.randn(4, 320, 4, 4, generator=generator)
        low = torch.randn(4, 24, 16, 16, generator=generator)
        person = torch.zeros(4, 1, 4, 4)
        person[:2, :, 1:3, :2] = 1
        deep[:, :1] += person
        target = nn.functional.interpolate(person, scale_factor=4)
        logits = net.decoder(net.pyramid(deep), low)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        alpha = torch.sigmoid(logits.detach())
        losses.append(float(loss.detach()))
        means = float(alpha[target == 1].mean()), float(alpha[2:].mean())
    assert losses[-1] < losses[0] / 2
    assert means[0] > 5 * means[1]


def test_it_starts_from_modnets_encoder_without_its_widest_layer(tmp_path: Path) -> None:
    donor, net = MobileNetV2(), small()
    path = tmp_path / "modnet.onnx"
    convs = [layer for layer in donor.modules() if isinstance(layer, nn.Conv2d)]
    kept = []
    for number, conv in enumerate(convs):
        for place, values in enumerate((conv.weight, conv.bias)):
            assert values is not None
            kept.append(numpy_helper.from_array(values.detach().numpy(), str(2 * number + place)))
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "net", [], [], kept)), path)
    start_encoder_from_modnet(net.encoder, path)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        # The last two strides differ on purpose; up to there the encoders agree.
        for mine, theirs in zip(net.encoder(image)[:4], donor(image)[:4], strict=True):
            assert torch.equal(mine, theirs)
        assert net.encoder(image)[-1].shape == (1, 320, 4, 4)


@pytest.mark.parametrize("rates", [(1, 2), (4, 8, 12)])
def test_the_pyramid_has_a_branch_for_each_rate_and_two_more(rates: tuple[int, ...]) -> None:
    assert len(SpatialPyramid(8, 8, rates).branches) == len(rates) + 2
