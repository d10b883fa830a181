"""Sandboxes: how one worker process is started, confined, spoken to, watched and ended."""
