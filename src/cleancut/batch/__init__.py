"""Folders of any size: what is to be done, what is done already, and who does the rest."""
