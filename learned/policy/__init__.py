"""The policy: features, network, rollouts and the advice it gives."""
