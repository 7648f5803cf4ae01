"""Training of the bundled network: data, simulated prompts, losses and the loop."""
