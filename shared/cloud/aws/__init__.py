"""AWS: entering the account of a customer, and AWS Lambda there."""
