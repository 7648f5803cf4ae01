"""From a movie file and a click to labels and tracks on disk, without napari.

    python examples/track_headless.py MOVIE FOLDER FRAME Y X

These are the calls that the command line and the widget make.
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari_sam2 import PointPrompt, Runtime, VideoPredictor, VideoSession, load_model
from napari_sam2.io.label_stack import LabelStackWriter
from napari_sam2.io.read import read_movie
from napari_sam2.io.tracks import write_tracks
from napari_sam2.tracking.tracks import tracks_from_masklets


def main(movie: str, folder: str, frame: str, y: str, x: str) -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    session = VideoSession.open(read_movie(movie))
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto())

    click = PointPrompt(object_id=1, frame=int(frame), yx=(float(y), float(x)))
    answer = predictor.predict_frame(session, click)
    print(f"{answer.objects[0].record.area} pixels on frame {frame}")

    labels = LabelStackWriter(out / "labels.zarr", session.shape)
    for result in predictor.propagate(session):
        labels.write(result.frame, session.masklets.labels(result.frame))
    labels.save_tiff(out / "labels.tif")
    tracks = write_tracks(out / "tracks.csv", tracks_from_masklets(session.masklets))
    print(f"labels and {tracks} are in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:6])
