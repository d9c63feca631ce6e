"""Two folders: pictures, and their thumbnails by width. Doing anything twice does no harm."""

import os
import time
from pathlib import Path

from PIL import Image


class Gallery:
    def __init__(self, pictures: Path, thumbnails: Path) -> None:
        self.pictures = pictures
        self.thumbnails = thumbnails

    def generate(self, width: int) -> list[str]:
        """Makes the thumbnails that are missing or older than their picture; answers the names of those made."""
        folder = self.thumbnails / str(width)
        folder.mkdir(parents=True, exist_ok=True)
        return [picture.name for picture in sorted(self.pictures.glob("*.jpg")) if make(picture, folder / picture.name, width)]

    def delete(self, older_than: float | None = None) -> list[str]:
        """Deletes the thumbnails whose picture is gone and those made `older_than` seconds ago; answers their names."""
        return [f"{thumbnail.parent.name}/{thumbnail.name}" for thumbnail in sorted(self.thumbnails.glob("*/*.jpg")) if self._drop(thumbnail, older_than)]

    def _drop(self, thumbnail: Path, older_than: float | None) -> bool:
        expired = older_than is not None and time.time() - thumbnail.stat().st_mtime > older_than
        if expired or not (self.pictures / thumbnail.name).exists():
            thumbnail.unlink(missing_ok=True)
            return True
        return False


def make(picture: Path, thumbnail: Path, width: int) -> bool:
    if thumbnail.exists() and thumbnail.stat().st_mtime >= picture.stat().st_mtime:
        return False
    aside = thumbnail.with_suffix(f".{os.getpid()}")  # renamed when complete: nobody sees half a picture
    with Image.open(picture) as image:
        image.thumbnail((width, width))
        image.save(aside, "JPEG")
    aside.replace(thumbnail)
    return True
