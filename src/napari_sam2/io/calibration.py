"""How large a pixel is and how long a frame, as files and other tools say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile
import zarr

from napari_sam2.io.read_zarr import has_metadata

__all__ = ["Calibration", "read_calibration", "unit_name"]

_NAMES = {
    "µm": "micrometer", "μm": "micrometer", "um": "micrometer", "micron": "micrometer",
    "microns": "micrometer", "\\u00b5m": "micrometer", "nm": "nanometer", "mm": "millimeter",
    "cm": "centimeter", "m": "meter", "inch": "inch", "in": "inch", "pixels": "pixel",
    "px": "pixel",
    "s": "second", "sec": "second", "seconds": "second", "ms": "millisecond", "min": "minute",
    "minutes": "minute", "h": "hour", "hours": "hour", "d": "day", "days": "day", "frames": "frame",
}  # fmt: skip
_SYMBOLS = {
    "micrometer": "um", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm", "meter": "m",
    "second": "s", "millisecond": "ms", "minute": "min", "hour": "h",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calibration:
    """Size of a pixel and time between frames.

    Attributes
    ----------
    pixel : tuple of float
        Depth, height and width of a pixel, (z, y, x), in `space_unit`.
    space_unit : str
        As OME-NGFF names it: ``"micrometer"``; ``"pixel"`` where it is not known.
    interval : float
        Time from one frame to the next in `time_unit`.
    time_unit : str
        As OME-NGFF names it: ``"second"``; ``"frame"`` where it is not known.
    """

    pixel: tuple[float, float, float] = (1.0, 1.0, 1.0)
    space_unit: str = "pixel"
    interval: float = 1.0
    time_unit: str = "frame"

    def __post_init__(self) -> None:
        if min(*self.pixel, self.interval) <= 0:
            raise ValueError(
                f"a pixel of {self.pixel} {self.space_unit} and a frame of {self.interval} "
                f"{self.time_unit} are no sizes: give numbers above 0"
            )

    @property
    def is_in_space(self) -> bool:
        """Whether the size of a pixel is known."""
        return self.space_unit != "pixel"

    @property
    def is_in_time(self) -> bool:
        """Whether the time between frames is known."""
        return self.time_unit != "frame"

    @property
    def space_symbol(self) -> str:
        """The unit of lengths in short: um, nm ..."""
        return _SYMBOLS.get(self.space_unit, self.space_unit)

    @property
    def time_symbol(self) -> str:
        """The unit of times in short: s, min, h ..."""
        return _SYMBOLS.get(self.time_unit, self.time_unit)

    @classmethod
    def of(
        cls, sizes: Mapping[str, float | None], space_unit: str | None, time_unit: str | None
    ) -> Calibration:
        """Make one from what is known of the axes T, Z, Y and X; the rest is in pixels and frames.

        Parameters
        ----------
        sizes : dict
            Letter of an axis to its step; one that is missing, None or not above 0 is not known.
        space_unit, time_unit : str or None
            As files write them: µm, micron, sec ...; None or empty if they do not.
        """
        known = {axis: float(size) for axis, size in sizes.items() if size and size > 0}
        space, time = unit_name(space_unit, "pixel"), unit_name(time_unit, "frame")
        in_space = space != "pixel" and {"Y", "X"} <= known.keys()
        in_time = time != "frame" and "T" in known
        plain = cls()
        y, x = known.get("Y", 1.0), known.get("X", 1.0)
        return cls(
            (known.get("Z", y), y, x) if in_space else plain.pixel,
            space if in_space else plain.space_unit,
            known["T"] if in_time else plain.interval,
            time if in_time else plain.time_unit,
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Calibration:
        """Read what a session says, where one was noted; see `as_settings`."""
        known = settings.get("calibration") or {}
        try:
            values = {**known, "pixel": tuple(known["pixel"])} if known else {}
            return cls(**values)
        except (KeyError, TypeError, ValueError):
            return cls()  # written by hand, or by another version

    def as_settings(self) -> dict[str, Any]:
        """Return what a session notes: nothing where nothing is known."""
        return {"calibration": asdict(self)} if self != Calibration() else {}


def unit_name(written: str | None, unknown: str) -> str:
    """Return the OME-NGFF name of a unit, however a file writes it; `unknown` if it does not."""
    text = (written or "").strip()
    return _NAMES.get(text.lower(), text.lower()) or unknown


def read_calibration(path: str | Path) -> Calibration:
    """Read what a movie file says of its pixels and frames.

    Parameters
    ----------
    path : str or Path
        OME-TIFF, ImageJ TIFF or OME-Zarr; any other file says nothing.

    Returns
    -------
    Calibration
        In pixels and frames where the file says nothing.
    """
    where = Path(path).expanduser()
    if where.is_dir() and has_metadata(where):
        return _of_ome_zarr(where)
    if where.is_file() and where.suffix.lower() in (".tif", ".tiff", ".btf", ".tf8"):
        return _of_tiff(where)
    return Calibration()


def _of_tiff(path: Path) -> Calibration:
    with tifffile.TiffFile(path) as tiff:
        if tiff.ome_metadata:
            return _of_ome_xml(tiff.ome_metadata)
        about: dict[str, Any] | None = tiff.imagej_metadata
        if about is None:
            return Calibration()
        page = tiff.pages[0]
        tags = {axis: page.tags.get(f"{axis}Resolution") for axis in "YX"}
        sizes = {axis: _pitch(tag) for axis, tag in tags.items()}
        sizes |= {"Z": about.get("spacing"), "T": about.get("finterval")}
        return Calibration.of(sizes, about.get("unit"), about.get("tunit", "s"))


def _pitch(resolution: Any) -> float | None:
    """Return the size of a pixel from pixels a unit, which TIFF has as a fraction."""
    if resolution is None or not resolution.value[0]:
        return None
    return float(resolution.value[1]) / float(resolution.value[0])


def _of_ome_xml(text: str) -> Calibration:
    root = ElementTree.fromstring(text)
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None:
        return Calibration()
    named = {"T": "TimeIncrement", "Z": "PhysicalSizeZ", "Y": "PhysicalSizeY", "X": "PhysicalSizeX"}
    found = {axis: pixels.get(name) for axis, name in named.items()}
    sizes = {axis: float(size) if size else None for axis, size in found.items()}
    # The schema's own units where the file leaves them out.
    space = pixels.get("PhysicalSizeXUnit", "µm")
    return Calibration.of(sizes, space, pixels.get("TimeIncrementUnit", "s"))


def _of_ome_zarr(path: Path) -> Calibration:
    node = zarr.open(str(path), mode="r")
    attributes: Any = node.attrs.asdict()
    pictures = attributes.get("ome", attributes).get("multiscales")
    if not pictures or not all(isinstance(axis, dict) for axis in pictures[0].get("axes", [{}])):
        return Calibration()
    axes = pictures[0].get("axes", [])
    steps = pictures[0]["datasets"][0].get("coordinateTransformations", [])
    scale: list[float] = next((one["scale"] for one in steps if one.get("type") == "scale"), [])
    letters = [str(axis.get("name", "?"))[:1].upper() for axis in axes]
    units = {letter: axis.get("unit") for letter, axis in zip(letters, axes, strict=True)}
    sizes = dict(zip(letters, scale, strict=False))
    return Calibration.of(sizes, units.get("X"), units.get("T"))
