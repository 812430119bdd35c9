"""Speed and memory, each beside the rival or the limit in the same run."""
