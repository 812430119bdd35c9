"""Train the small digit reader that the package ships (gpugraph/data/digits.keras).

    python examples/train_digits.py [output.keras]

It reads scikit-learn's 8 x 8 images of handwritten digits and trains for about half a minute on
a CPU.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SHIPPED = Path(__file__).parent.parent / "gpugraph" / "data" / "digits.keras"
SEED = 7
EPOCHS = 60
BATCH = 32


def build() -> keras.Model:
    """Return the untrained model: pixels from 0 to 1 in, a probability per digit out."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="pixels"),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1"),
            layers.BatchNormalization(name="norm1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )


def main() -> None:
    """Train, report the accuracy on images kept apart, and save."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    keras.utils.set_random_seed(SEED)
    images, digits = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits, test_size=0.2, random_state=SEED, stratify=digits
    )
    model = build()
    steps = EPOCHS * -(-len(train_x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(train_x, train_y, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    # The optimizer's state would triple the file and serves nobody who only reads the weights.
    trained = keras.models.clone_model(model)
    trained.set_weights(model.get_weights())
    accuracy = float(np.mean(trained.predict(test_x, verbose=0).argmax(axis=1) == test_y))
    print(f"accuracy on {len(test_y)} test images: {accuracy:.2%}")
    path.parent.mkdir(parents=True, exist_ok=True)
    trained.save(path)
    print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
