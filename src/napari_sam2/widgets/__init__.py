"""The napari front end: a dock widget, the layers it owns and the thread that runs the network.

``controller`` decides everything and knows no Qt; ``engine`` and ``worker`` run on their own
thread; ``dock`` and the panels beside it only show and ask.
"""
