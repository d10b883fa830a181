"""The api service: authenticates, authorises, validates, renders. It never runs user code."""
