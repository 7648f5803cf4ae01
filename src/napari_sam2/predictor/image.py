"""Images: prompts on one picture, answered at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.answering import LOGIT_LIMIT, Question, answer, box_around, record_of
from napari_sam2.predictor.exposure import gamma_of
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.frames import IntensityMapping
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.results import ImageResult
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_planner import ViewPlanner
from napari_sam2.prompts import BoxPrompt, PointPrompt, Prompt


class ImagePredictor:
    """Answers prompts on one image at a time.

    Parameters
    ----------
    model : SAM2
    runtime : Runtime, optional
        Device and dtype; the best of this machine by default.
    options : PredictorOptions, optional
        How the image is looked at.
    """

    def __init__(
        self,
        model: SAM2,
        runtime: Runtime | None = None,
        options: PredictorOptions | None = None,
    ) -> None:
        self.runtime = Runtime.auto() if runtime is None else runtime
        self.options = PredictorOptions() if options is None else options
        self.model = model.to(self.runtime.device).eval()
        self._encoder = FrameEncoder(self.model, self.runtime)
        self._session: VideoSession | None = None
        self._view: View | None = None

    def set_image(self, image: ArrayLike, mapping: IntensityMapping | None = None) -> None:
        """Choose the image that the next prompts are about.

        Parameters
        ----------
        image : array-like, (H, W) or (H, W, C)
            Any integer or float type.
        mapping : IntensityMapping, optional
            Intensity limits and channels; percentiles of the image by default.

        Raises
        ------
        ValueError
            If the array is no image.
        """
        array: Any = np.asarray(image)
        if array.ndim not in (2, 3):
            raise ValueError(f"image of shape {array.shape}: give (H, W) or (H, W, C)")
        axes = "YX" if array.ndim == 2 else "YXC"
        self._session = VideoSession.open(array, mapping, axes)
        self._view = None

    def predict(
        self,
        points_yx: ArrayLike | None = None,
        positive: ArrayLike | None = None,
        box_yxyx: tuple[float, float, float, float] | None = None,
        mask_logits: NDArray[np.float32] | None = None,
        multimask: bool = True,
    ) -> ImageResult:
        """Answer prompts for one object.

        Parameters
        ----------
        points_yx : array-like, (P, 2) float, optional
            Clicks, in pixels.
        positive : array-like, (P,) bool, optional
            Whether each click is inside the object; all are by default.
        box_yxyx : tuple of 4 float, optional
            Corners (y0, x0, y1, x1) of a box around it.
        mask_logits : ndarray, (h, w), optional
            Logits of an earlier answer, refined by the prompts.
        multimask : bool
            Offer three masks; else one.

        Returns
        -------
        ImageResult

        Raises
        ------
        RuntimeError
            If no image was set.
        ValueError
            If there is no prompt, one lies outside, or ``positive`` does not fit ``points_yx``.
        """
        session = self._require_image()
        geometry = _geometry(session, points_yx, positive, box_yxyx)
        previous = None
        if mask_logits is not None:
            array = np.asarray(mask_logits, np.float32)
            previous = torch.from_numpy(array)[None, None].to(self.runtime.device)
        view = self._first_view(session, geometry, keep=previous is not None)
        low = (view.input_size[0] // 4, view.input_size[1] // 4)
        if previous is not None and previous.shape[-2:] != low:
            raise ValueError(
                f"mask_logits have the shape {tuple(previous.shape[2:])} and not {low}; give the "
                "logits of an earlier answer"
            )
        prediction = self._look(session, geometry, view, previous, multimask)
        planner = self._planner(session)
        if planner.is_following and geometry.bbox is None and previous is None:
            record = record_of(prediction.logits[0, 0], view, 1.0, 0.0, prompted=True)
            gamma = gamma_of(planner, session, 0, view, record, geometry)
            better = planner.view_of(box_around(geometry, record)[0], None, (), gamma)
            if better != view:
                view = better
                prediction = self._look(session, geometry, view, None, multimask)
        self._view = view
        return _result(prediction, view)

    def _look(
        self,
        session: VideoSession,
        geometry: Geometry,
        view: View,
        previous: Tensor | None,
        multimask: bool,
    ) -> MaskPrediction:
        features = self._encoder.features(session, 0, view)
        question = Question(
            geometry,
            features,
            previous=previous,
            multimask=multimask,
            clicked_pieces=self.options.keeps_clicked_pieces(self.model.config),
        )
        return answer(self.model, self.runtime, question, view)

    def _first_view(self, session: VideoSession, geometry: Geometry, keep: bool) -> View:
        if keep and self._view is not None:
            return self._view
        planner = self._planner(session)
        bbox, is_known = box_around(geometry, None)
        gamma = gamma_of(planner, session, 0, None, None, geometry)
        if is_known:
            return planner.view_of(bbox, None, (), gamma)
        center = ((bbox[0] + bbox[2] - 1) / 2, (bbox[1] + bbox[3] - 1) / 2)
        return planner.first_view(center, None, gamma)

    def _planner(self, session: VideoSession) -> ViewPlanner:
        return ViewPlanner.of(self.options, self.model.config, session.shape[1:])

    def _require_image(self) -> VideoSession:
        if self._session is None:
            raise RuntimeError("no image: call set_image first")
        return self._session


def _geometry(
    session: VideoSession,
    points_yx: ArrayLike | None,
    positive: ArrayLike | None,
    box_yxyx: tuple[float, float, float, float] | None,
) -> Geometry:
    points = np.zeros((0, 2)) if points_yx is None else np.asarray(points_yx, float)
    if points.size % 2 or (points.ndim > 1 and points.shape[-1] != 2):
        raise ValueError(f"points of shape {points.shape}; give (P, 2), a row (y, x) for each")
    points = points.reshape(-1, 2)
    signs = np.ones(len(points), bool) if positive is None else np.asarray(positive, bool).ravel()
    if len(signs) != len(points):
        raise ValueError(f"{len(points)} points but {len(signs)} signs; give one sign a point")
    prompts: list[Prompt] = [
        PointPrompt(1, 0, (float(y), float(x)), bool(sign))
        for (y, x), sign in zip(points, signs, strict=True)
    ]
    if box_yxyx is not None:
        prompts.append(BoxPrompt(1, 0, box_yxyx))
    if not prompts:
        raise ValueError("no prompt: give points_yx or box_yxyx")
    for prompt in prompts:
        session.check(prompt)
    return Geometry.of(prompts)


def _result(prediction: MaskPrediction, view: View) -> ImageResult:
    order = prediction.ious[0].argsort(descending=True)
    logits = prediction.candidates[0][order].float()
    shape = view.frame_shape
    records = [record_of(row, view, 1.0, 0.0, prompted=True) for row in logits]
    return ImageResult(
        masks=np.stack([record.mask(shape) for record in records]),
        ious=prediction.ious[0][order].float().cpu().numpy(),
        logits=logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT).cpu().numpy(),
        object_score=float(prediction.object_score[0, 0]),
    )
