"""The public HTTP dialects: each translates requests to operations and results back, and nothing else."""
