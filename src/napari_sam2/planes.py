"""Which axis of an array is which, and the planes of a movie of stacks as numbered frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ROLES", "AxisLayout", "PlaneGrid"]

ROLES = {"T": "time", "Z": "z", "C": "channel", "Y": "y", "X": "x"}
"""Letter of an axis to its meaning."""

_SAME = {"S": "C"}
"""Other letters of the same meaning: files call the colours of a pixel samples."""

_UNUSED = "?"

OUTSIDE = -1
"""The plane of a position that lies on none."""


@dataclass(frozen=True, slots=True)
class PlaneGrid:
    """The planes of a movie of stacks, numbered time by time and slice by slice within a time.

    A movie without depth has one slice, a stack without time one time.

    Parameters
    ----------
    times, slices : int
        At least 1.
    """

    times: int
    slices: int = 1

    def __len__(self) -> int:
        return self.times * self.slices

    @property
    def is_line(self) -> bool:
        """Whether planes that follow each other are neighbours: only time, or only depth."""
        return self.times == 1 or self.slices == 1

    def plane(self, time: int, z: int) -> int:
        """Return the number of a plane, `OUTSIDE` if there is none such."""
        if not (0 <= time < self.times and 0 <= z < self.slices):
            return OUTSIDE
        return time * self.slices + z

    def place(self, plane: int) -> tuple[int, int]:
        """Return time and slice of a plane."""
        return divmod(plane, self.slices)

    def along_time(self, z: int) -> range:
        """Return the planes of one slice, by time."""
        return range(z, len(self), self.slices)

    def along_z(self, time: int) -> range:
        """Return the planes of one time, by depth."""
        return range(time * self.slices, (time + 1) * self.slices)

    def name(self, plane: int) -> str:
        """Return how people call a plane: ``frame 3`` of a movie, ``t 3, z 7`` of stacks."""
        return f"frame {plane}" if self.is_line else self.short(plane)

    def short(self, plane: int) -> str:
        """Return that in few letters: ``3`` of a movie, ``t 3, z 7`` of stacks."""
        time, z = self.place(plane)
        return str(plane) if self.is_line else f"t {time}, z {z}"

    def listed(self, planes: Sequence[int], most: int = 8) -> str:
        """Return where planes are: ``on frames 0, 4`` of a movie, ``at t 3, z 7; t 4, z 7``."""
        first = (", " if self.is_line else "; ").join(map(self.short, planes[:most]))
        where = f"on frame{'s' * (len(planes) != 1)}" if self.is_line else "at"
        return f"{where} {first}{' …' * (len(planes) > most)}"

    def moment(self, plane: int) -> str:
        """Return when a plane is: ``frame 3`` of a movie, ``t 3`` of stacks."""
        return f"frame {plane}" if self.is_line else f"t {self.place(plane)[0]}"

    def start(self, plane: int) -> int:
        """Return where objects that change with a plane do so: in stacks on all its slices."""
        return plane if self.is_line else self.along_z(self.place(plane)[0]).start


@dataclass(frozen=True, slots=True)
class AxisLayout:
    """The meaning of each axis of an array.

    Parameters
    ----------
    axes : str
        One of T, Z, C, Y, X an axis, each once, Y and X among them; ``?`` for one of length 1 that
        means nothing.
    sizes : tuple of int
        The shape of the array.

    See Also
    --------
    AxisLayout.of : reads other letters, and refuses what makes no movie.
    """

    axes: str
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, axes: str, sizes: Sequence[int]) -> AxisLayout:
        """Read the letters of axes.

        Parameters
        ----------
        axes : str
            T (time), Z (depth), C or S (channels), Y, X in either case; others stand for axes of
            length 1.
        sizes : sequence of int
            The shape of the array.

        Raises
        ------
        ValueError
            If the letters do not fit the shape or each other, or an axis of a length above 1 means
            nothing; the message says which.
        """
        sizes = tuple(map(int, sizes))
        named = axes.upper()
        if len(named) != len(sizes) or len(set(named)) != len(named) or not {"Y", "X"} <= {*named}:
            raise ValueError(
                f"axes {axes!r} do not describe an array of shape {sizes}: give one different "
                "letter an axis, Y and X among them, for example 'TYX', 'TCYX' or 'TZYX'"
            )
        letters = [_UNUSED] * len(named)
        # The longer one of two rivals (C and S); the other has to have length 1.
        for index in sorted(range(len(named)), key=lambda i: sizes[i], reverse=True):
            letter = _SAME.get(named[index], named[index])
            if letter in ROLES and letter not in letters:
                letters[index] = letter
            elif sizes[index] != 1:
                raise ValueError(
                    f"axis {named[index]} of {axes!r} has length {sizes[index]} and a movie has "
                    "only time, z, channels, height and width: choose one position of it first"
                )
        return cls("".join(letters), sizes)

    @property
    def grid(self) -> PlaneGrid:
        """Times and slices."""
        return PlaneGrid(self.length("T"), self.length("Z"))

    def length(self, letter: str) -> int:
        """Return the length of an axis, 1 where there is none."""
        return self.sizes[self.axes.index(letter)] if letter in self.axes else 1

    def index(self, plane: int, channel: int | None = None) -> tuple[int | slice, ...]:
        """Return the index of a plane, with all channels or one of them."""
        time, z = self.grid.place(plane)
        colour = slice(None) if channel is None else channel
        where: dict[str, int | slice] = {"T": time, "Z": z, _UNUSED: 0, "C": colour}
        return tuple(where.get(axis, slice(None)) for axis in self.axes)

    @property
    def order(self) -> tuple[int, ...]:
        """How to turn what `index` gives with all channels into (Y, X) or (Y, X, C)."""
        kept = [axis for axis in self.axes if axis in "YXC"]
        return tuple(kept.index(axis) for axis in "YXC" if axis in kept)

    def position(self, plane: int, yx: tuple[float, float]) -> tuple[float, ...]:
        """Return the coordinates of a point of a plane in the array, at channel 0."""
        time, z = self.grid.place(plane)
        where: dict[str, float] = {"T": time, "Z": z, "Y": yx[0], "X": yx[1]}
        return tuple(float(where.get(axis, 0)) for axis in self.axes)

    def place(self, position: Sequence[float]) -> tuple[int, tuple[float, float]]:
        """Return the plane nearest to coordinates in the array, and (y, x) in it."""
        where = dict(zip(self.axes, map(float, position), strict=True))
        plane = self.grid.plane(round(where.get("T", 0.0)), round(where.get("Z", 0.0)))
        return plane, (where["Y"], where["X"])
