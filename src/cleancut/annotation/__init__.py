"""Mattes as annotations: outlines, boxes, and the files that other tools read them from."""
