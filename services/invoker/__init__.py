"""The invoker: runs functions, bounds what they may use, judges what they answer."""
