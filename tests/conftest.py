"""What every test shares: a quiet TensorFlow, and how hard hypothesis tries."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports keras

from hypothesis import HealthCheck, settings

# Building a Keras model takes longer than hypothesis finds natural.
settings.register_profile(
    "default", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
