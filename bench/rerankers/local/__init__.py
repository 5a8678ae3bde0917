"""What the families share that run on this machine: checkpoints, loading, truncation, batching."""
