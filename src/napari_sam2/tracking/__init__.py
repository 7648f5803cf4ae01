"""Masklets over time: tracks and their family trees. numpy only."""
