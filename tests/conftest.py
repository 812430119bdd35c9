"""What every test shares: a quiet TensorFlow, and how hard hypothesis tries."""

import os

# Before anything imports keras:
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# oneDNN in TensorFlow 2.21 reads memory of its own in Conv2D(1, (1, 2), strides=(1, 2)) on inputs
# of width 3, from the second sample of a batch on.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import pytest
from hypothesis import HealthCheck, settings

from gpugraph import arrays, doctor

# Building a Keras model takes longer than hypothesis finds natural.
settings.register_profile(
    "default", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def _look_for_cupy_anew():
    """Forget whether CuPy is there, before a test that puts another in its place, and after."""
    for module in (arrays, doctor):
        module._cupy.cache_clear()
    yield
    for module in (arrays, doctor):
        module._cupy.cache_clear()
