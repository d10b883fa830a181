"""Every command, reply and event that crosses the bus; how they are encoded; the queues they travel by."""
