"""What Envoy does to open connections when it is given a listener anew."""

from envoy.config.listener.v3.listener_pb2 import Listener

from listeners.rendering.envoy.resources import Resource

# Fields that Envoy exchanges beneath a listener that goes on (ListenerMessageUtil::filterChainOnlyChange).
EXCHANGED = ("filter_chains", "default_filter_chain", "filter_chain_matcher")


def keeps_connections(old: Resource, new: Resource) -> bool:
    """Whether some connections go on: those of filter chains that both versions of a listener have."""
    before, after = (Listener.FromString(one.body.value) for one in (old, new))
    chains = [
        {chain.SerializeToString(deterministic=True) for chain in message.filter_chains}
        for message in (before, after)
    ]
    for message in (before, after):
        for field in EXCHANGED:
            message.ClearField(field)
    return bool(before == after and chains[0] & chains[1])
