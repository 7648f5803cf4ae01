"""Sessions of the movies in work: saved while one works, reopened where one stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.io.session_file import SUFFIX, MovieStamp, SessionRecord, read_session
from napari_sam2.widgets.autosave import Autosave
from napari_sam2.widgets.exports import Exports
from napari_sam2.widgets.readers import SESSION_KEY
from napari_sam2.widgets.session_settings import SessionSettings, movie_layer
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam2.widgets.open_movie import OpenMovie


class Sessions:
    """Saves every movie that came from a file beside that file, and others where one says.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the movie of a session is shown.
    movie : callable
        Returns the movie in work, None without one.
    set_image : callable
        Begins to work on an image layer.
    wake : callable
        Called from any thread when `watch` has something to tell.
    settings : SessionSettings
        Network, intensities, axes: noted in the session, and taken up when that is reopened.

    Attributes
    ----------
    exports : Exports
        The same objects in the files of other tools.
    """

    told = Signal(Status)
    """What to tell the user."""
    restored = Signal(str, str)
    """The movie with this key is shown as in its session, whose runs went this way."""
    changed = Signal()
    """`path` is another, or `problem` has come or gone."""

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Callable[[], OpenMovie | None],
        set_image: Callable[[Image], None],
        wake: Callable[[], None],
        settings: SessionSettings,
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._set_image = set_image
        self._wake = wake
        self._savers: dict[OpenMovie, Autosave] = {}
        self._known_problem: str | None = None
        self._settings = settings
        self.exports = Exports(movie, wake)
        self.exports.told.connect(self.told.emit)

    @property
    def path(self) -> Path | None:
        """Where the movie in work is saved, None where it is not."""
        movie = self._movie()
        saver = None if movie is None else self._savers.get(movie)
        return None if saver is None else saver.root

    @property
    def problem(self) -> str | None:
        """What keeps the session from being saved, None if nothing does."""
        movie = self._movie()
        saver = None if movie is None else self._savers.get(movie)
        return None if saver is None or saver.error is None else str(saver.error)

    def prepare(self, image: Image) -> None:
        """Have an image that is about to be opened read as in the session beside its file."""
        place = default_place(image)
        if place is None or not (place / "session.json").is_file():
            return
        try:
            self._settings.prepare(image, read_session(place, with_masks=False).settings)
        except (ValueError, OSError):
            return  # it is told when the session itself is opened

    def attach(self, movie: OpenMovie) -> None:
        """Begin to save a movie beside its file, going on with the session that is there."""
        about = movie.image.metadata.get("napari-sam2", {})
        movie.path = about.get("movie", movie.path)
        place = default_place(movie.image)
        if SESSION_KEY in about:
            place = Path(about[SESSION_KEY])
        if place is None:
            return
        if (place / "session.json").is_file() and not self._go_on(movie, place):
            place = _free_place(place)
        self._save_to(movie, place)

    def detach(self, movie: OpenMovie) -> None:
        """Write what is left of a movie and stop."""
        saver = self._savers.pop(movie, None)
        if saver is not None:
            movie.backlog.leave(movie.key)
            saver.close()

    def save_as(self, path: str | Path) -> bool:
        """Save the movie in work to another folder from now on; whether it could be begun."""
        movie, place = self._movie(), Path(path)
        if movie is None:
            self._tell("There is no movie: choose an image layer first", is_error=True)
            return False
        place = place if place.suffix == SUFFIX else place.with_name(place.name + SUFFIX)
        if place.exists():
            self._tell(f"{place} exists: choose a new name", is_error=True)
            return False
        self.detach(movie)
        self._save_to(movie, place)
        frames = {frame for masklet in movie.document.masklets for frame in masklet.records}
        self._savers[movie].note(frames)
        self._tell(f"Saved to {place} from now on")
        return True

    def open(self, path: str | Path) -> bool:
        """Open a session, with its movie if that is not the one in work; whether it worked."""
        try:
            record = read_session(path)
            movie = self._movie()
            if movie is None or _problem(movie, record) is not None:
                movie = self._open_movie(record)
        except (ValueError, OSError) as error:
            self._tell(f"The session could not be opened: {error}", is_error=True)
            return False
        place = Path(path).parent if Path(path).name == "session.json" else Path(path)
        self.detach(movie)
        self._take_up(movie, record, place)
        self._save_to(movie, place)
        return True

    def watch(self) -> None:
        """Tell, once, when saving stops working or works again; called now and then."""
        self.exports.watch()
        problem = self.problem
        if problem == self._known_problem:
            return
        self._known_problem = problem
        self.changed.emit()
        if problem is not None:
            self._tell(
                f"The session is not saved: {problem}. Work goes on; make room there, or choose "
                "another folder with Save as…",
                is_error=True,
            )
        else:
            self._tell("The session is saved again")

    def _open_movie(self, record: SessionRecord) -> OpenMovie:
        if record.movie.path is None:
            raise ValueError(
                "its movie was in memory only: open an image layer with the same movie first"
            )
        path = Path(record.movie.path)
        data, about = movie_layer(record)
        metadata = {"napari-sam2": about}
        self._set_image(self._viewer.add_image(data, name=path.stem, metadata=metadata))
        movie = self._movie()
        if movie is None:
            raise ValueError(f"{path} is no movie any more")
        movie.path = str(path)
        if (problem := _problem(movie, record)) is not None:
            raise ValueError(problem)
        return movie

    def _go_on(self, movie: OpenMovie, place: Path) -> bool:
        """Take up the session beside a file; False, with a word, if it does not fit."""
        try:
            record = read_session(place)
            problem = _problem(movie, record)
        except (ValueError, OSError) as error:
            problem = str(error)
        if problem is not None:
            self._tell(f"{place.name} is not used: {problem}", is_error=True)
            return False
        self._take_up(movie, record, place)
        return True

    def _take_up(self, movie: OpenMovie, record: SessionRecord, place: Path) -> None:
        """Show what a session holds, as it was shown, and with the network it was made with."""
        problem = self._settings.restore(movie.image, record.settings)
        movie.adopt(record.document)
        self._tell(_greeting(record, place, problem), is_error=problem is not None)
        self.restored.emit(movie.key, self._settings.route.along)

    def _save_to(self, movie: OpenMovie, place: Path) -> None:
        settings = partial(self._settings.of, movie.image)
        saver = Autosave(place, partial(_stamp, movie), movie.document, settings, self._wake)
        self._savers[movie] = saver
        movie.backlog.watch(movie.key, saver)
        movie.changed.connect(lambda frames: self._note(movie, frames))
        self.changed.emit()

    def _note(self, movie: OpenMovie, frames: set[int]) -> None:
        if movie in self._savers:
            self._savers[movie].note(frames)

    def _tell(self, text: str, *, is_error: bool = False) -> None:
        self.told.emit(Status(text, "error" if is_error else "info"))


def default_place(image: Image) -> Path | None:
    """Return where the session of an image layer is kept: beside its file, if it has one."""
    path = image.source.path
    return None if path is None else Path(path).with_suffix(SUFFIX)


def _free_place(place: Path) -> Path:
    number = 2
    while (other := place.with_name(f"{place.stem}-{number}{SUFFIX}")).exists():
        number += 1
    return other


def _stamp(movie: OpenMovie) -> MovieStamp:
    return MovieStamp.of(movie.layers.movie.raw, movie.path)


def _problem(movie: OpenMovie, record: SessionRecord) -> str | None:
    if movie.layers.movie.shape != record.movie.shape:
        other = MovieStamp(movie.layers.movie.shape, "", "")
        return record.movie.problem_with(other)
    return record.movie.problem_with(_stamp(movie))


def _greeting(record: SessionRecord, place: Path, problem: str | None) -> str:
    count = len(record.document.object_ids)
    text = f"Session {place.name} is open: {count} object{'s' * (count != 1)}"
    return text if problem is None else f"{text}; but {problem}"
