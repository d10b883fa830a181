"""What runs beside user code inside a sandbox: copied there as data, importing nothing of ours."""
