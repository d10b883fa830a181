"""What functions may ask of their host, against the real thing."""
