"""Training the policy: PPO, runs over the corpus, calibration."""
