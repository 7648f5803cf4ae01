"""Jobs: a movie and its prompts in, a folder of results out, without anybody watching."""
