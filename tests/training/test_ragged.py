"""Masks that are spoilt as a network spoils them."""

from __future__ import annotations

import torch

from napari_sam2.training.ragged import ragged

SIDE, MANY = 64, 400


def _disks() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    disk = ((y - 32) ** 2 + (x - 32) ** 2 < 11**2).float()
    return disk.expand(MANY, 1, SIDE, SIDE).clone()


def _ragged(masks: torch.Tensor) -> torch.Tensor:
    return ragged(masks, torch.rand(masks.shape))


def _overlaps(masks: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    one, other = (masks > 0.5).flatten(1), (truth > 0.5).flatten(1)
    return (one & other).sum(1) / (one | other).sum(1)


def test_masks_are_wrong_in_several_ways_and_some_not_at_all() -> None:
    torch.manual_seed(0)
    truth = _disks()
    masks = _ragged(truth)
    assert masks.shape == truth.shape
    assert masks.min() >= 0
    assert masks.max() <= 1
    overlaps = _overlaps(masks, truth)
    assert 0.2 < (overlaps == 1).float().mean() < 0.6, "some stay as they were"
    assert (overlaps < 0.6).float().mean() > 0.05, "some are half of it"
    area, whole = (masks > 0.5).flatten(1).sum(1), int(truth[0].sum())
    assert area.min() < 0.8 * whole
    assert area.max() > 1.15 * whole


def test_what_is_wrong_lies_near_the_mask() -> None:
    torch.manual_seed(1)
    masks = _ragged(_disks())
    far = masks[:, :, :6, :6].flatten(1).amax(1) > 0.5
    assert far.float().mean() < 0.05


def test_a_mask_of_a_few_pixels_is_not_lost() -> None:
    torch.manual_seed(2)
    small = torch.zeros(MANY, 1, SIDE, SIDE)
    small[:, :, 31:33, 31:34] = 1
    assert ((_ragged(small) > 0.5).flatten(1).sum(1) >= 4).all()


def test_the_same_seed_spoils_the_same_way() -> None:
    torch.manual_seed(3)
    first = _ragged(_disks())
    torch.manual_seed(3)
    assert torch.equal(first, _ragged(_disks()))


def test_some_are_drawn_around_the_bright_part_alone() -> None:
    torch.manual_seed(4)
    truth = _disks()
    y = torch.arange(SIDE)[:, None].expand(SIDE, SIDE)
    plate = ((y > 28) & (y < 36)).float()
    pictures = plate.expand(MANY, 1, SIDE, SIDE)
    around = _overlaps(ragged(truth, pictures), truth * plate)
    assert 0.02 < (around > 0.8).float().mean() < 0.3
    around = _overlaps(ragged(truth, 0 * pictures), truth * plate)
    assert not (around > 0.8).any(), "where nothing is brighter"
