"""Deployment packages: what a zip may hold, where packages are kept by digest, and the disk cache that runs use."""
