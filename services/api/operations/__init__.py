"""What the platform can do, once for all dialects: plain async functions that speak no HTTP."""
