"""What every Envoy has to be started with for the resources of this package to be accepted."""

from envoy.config.bootstrap.v3.bootstrap_pb2 import LayeredRuntime, RuntimeLayer

# Envoy refuses regular expressions whose compiled form has more steps than 100: long names have more.
LONGEST_PATTERN = 10_000


def runtime() -> LayeredRuntime:
    layer = RuntimeLayer(name="elb")
    layer.static_layer["re2.max_program_size.error_level"] = LONGEST_PATTERN
    return LayeredRuntime(layers=[layer])
