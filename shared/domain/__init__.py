"""The platform's nouns and rules, pure: no input, no output, nothing third-party."""
