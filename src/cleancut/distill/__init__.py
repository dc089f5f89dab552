"""Small students of large networks: labels, training, export. PyTorch is imported here only."""
