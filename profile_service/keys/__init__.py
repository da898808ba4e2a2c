"""Secrets: where they come from, what is derived from them, and how they are kept.

    files, derivation < sealing, delivery

Nothing here prints, logs or pickles a secret; errors say where one is wrong, and not what
it is.
"""
