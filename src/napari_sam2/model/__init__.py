"""SAM 2 in plain PyTorch: stateless verbs on tensors, nothing about time, files or devices.

Shape letters used in every docstring and reshape comment of this package:

``B`` rows, one object each; ``b`` rows of image features, 1 (shared by all objects) or ``B``;
``T`` frames; ``C`` channels; ``H W`` pixels of the network input; ``h w`` feature cells
(stride 16); ``N`` tokens; ``P`` points; ``M`` candidate masks; ``K`` memory frames.
"""
