"""What the platform does while a part of it is gone: real processes, real broker, real database."""
