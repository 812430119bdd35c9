import keras
import pytest

import gpugraph as gg
from tests import models

SIZES = {
    "VGG16": 32,
    "ResNet50": 32,
    "MobileNetV2": 32,
    "DenseNet121": 32,
    "InceptionV3": 75,
    "Xception": 71,
    "ConvNeXtTiny": 32,
}


def build(name, size):
    application = getattr(keras.applications, name)
    return application(weights=None, include_top=False, input_shape=(size, size, 3))


@pytest.mark.parametrize(("name", "size"), SIZES.items(), ids=SIZES)
def test_the_graph_is_the_model(name, size):
    graph = gg.from_keras(models.randomise(build(name, size)))
    report = graph.verify()
    assert report.passed, str(report)
    assert len(report.errors) >= len(graph.populations) // 2
    assert graph.in_degree().sum() == graph.out_degree().sum() == graph.n_edges


def test_lenet():
    graph = gg.from_keras(models.randomise(models.lenet()))
    assert graph.verify().passed
    assert {name: p.size for name, p in graph.populations.items()} == {
        graph.topology.inputs[0]: 784,
        "c1": 4704,
        "s2": 1176,
        "c3": 1600,
        "s4": 400,
        "c5": 120,
        "f6": 84,
        "output": 10,
    }
    assert graph.n_edges == 107_736 + 4704 + 240_000 + 1600 + 48_000 + 10_080 + 840
