"""Files in and out: movies, prompts, label stacks, tracks, pictures. No network runs here."""
