"""Models made of models: fully convolutional ones, and other input sizes."""
