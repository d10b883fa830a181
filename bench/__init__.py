"""Load runs. ``./tidemill bench`` prints the table the README quotes and writes it as JSON."""
