"""What a Neo function may ask of its host: the chain, random numbers, an oracle, prices."""
