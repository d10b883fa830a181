"""What functions may ask of their host, without a host to ask."""
