"""``bench compare``: five systems and their rivals in every dimension, and what follows."""
