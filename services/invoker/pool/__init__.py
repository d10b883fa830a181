"""The pool: which worker serves which call, and how many there are."""
