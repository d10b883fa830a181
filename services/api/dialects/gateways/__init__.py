"""The Gateways dialect: workspaces, projects and environments, and what is deployed to them."""
