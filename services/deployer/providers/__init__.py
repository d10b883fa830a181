"""Where functions are deployed to: one module a provider, all behind one Protocol."""
