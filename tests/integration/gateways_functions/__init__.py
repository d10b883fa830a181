"""Functions over the Gateways dialect: an api and a deployer that are real, on a real database."""
