"""The message bus: one Protocol, RabbitMQ and in-memory behind it, one suite of contract tests for both."""
