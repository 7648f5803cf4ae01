"""This project's side of the reference's defects; ``make parity`` shows the other side."""

from __future__ import annotations

import pytest
from tests.parity.defects import DEFECTS, Defect


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_this_project_has_none_of_the_references_defects(defect: Defect) -> None:
    assert defect.ours()
