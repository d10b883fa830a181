"""The deployer: brings a function to the state its deployment row asks for; the only writer of that status."""
