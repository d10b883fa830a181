"""What more than one service needs: messages, domain, and the adapters to the outside."""
