"""Measure what a user gets: the predictor on annotated movies, beside classical rivals.

Every figure is taken through the predictor's public calls and in one run with its rivals:
``python -m napari_sam2.evaluation --data FOLDER --out results.json``.
"""
