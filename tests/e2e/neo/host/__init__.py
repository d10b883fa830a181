"""What a Neo function may ask of its host, on a platform that has a chain, allowed hosts and sources of prices."""
