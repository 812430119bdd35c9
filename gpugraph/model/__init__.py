"""The Keras model: its layer calls, shapes, masks and weights."""
