"""What the example's consumers do with pictures; doing it twice does no harm."""

import os
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.tree import ROOT

EXAMPLE = ROOT / "examples/thumbnails"
Gallery: Any = runpy.run_path(str(EXAMPLE / "gallery/thumbnails.py"))["Gallery"]
EVERY = ["dunes.jpg", "dusk.jpg", "hills.jpg", "night.jpg"]
LONG_AGO = (1_000_000_000, 1_000_000_000)


@pytest.fixture
def gallery(tmp_path: Path) -> Any:
    shutil.copytree(EXAMPLE / "pictures", tmp_path / "pictures")
    return Gallery(tmp_path / "pictures", tmp_path / "thumbnails")


def test_each_picture_gets_a_thumbnail_of_the_width_asked_for(gallery: Any) -> None:
    assert gallery.generate(width=64) == EVERY
    with Image.open(gallery.thumbnails / "64/dusk.jpg") as thumbnail:
        assert thumbnail.size == (64, 43)
    assert sorted(made.name for made in gallery.thumbnails.rglob("*.*")) == EVERY


def test_only_what_is_missing_or_older_than_its_picture_is_made_again(gallery: Any) -> None:
    gallery.generate(width=64)
    assert gallery.generate(width=64) == []
    (gallery.thumbnails / "64/night.jpg").unlink()
    os.utime(gallery.thumbnails / "64/dusk.jpg", LONG_AGO)
    assert gallery.generate(width=64) == ["dusk.jpg", "night.jpg"]


def test_the_thumbnail_of_a_picture_that_is_gone_is_deleted(gallery: Any) -> None:
    gallery.generate(width=64)
    (gallery.pictures / "hills.jpg").unlink()
    assert gallery.delete() == ["64/hills.jpg"]
    assert gallery.delete() == []


def test_one_past_its_age_is_deleted(gallery: Any) -> None:
    gallery.generate(width=64)
    os.utime(gallery.thumbnails / "64/dusk.jpg", LONG_AGO)
    assert gallery.delete(older_than=3600) == ["64/dusk.jpg"]


def test_without_thumbnails_there_is_nothing_to_delete(gallery: Any) -> None:
    assert gallery.delete() == []
