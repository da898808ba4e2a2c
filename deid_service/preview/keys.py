"""Keys that pseudonyms are made with where no site gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deid_service.engine import Keys
from profile_service.keys.files import new_secret

if TYPE_CHECKING:
    from profile_service.language.model import Profile

# Where there are no containers.
SCOPE = "file"

# Of what is done without a key.
NO_KEYS = Keys("", {})


def keys_of(profile: Profile, secret: bytes) -> Keys:
    """Returns the keys that a profile needs, derived from a secret of 32 bytes."""
    # Not above: it loads cryptography, which profiles without pseudonyms do without.
    from profile_service.keys.derivation import stream_keys

    derived = stream_keys(secret, SCOPE, profile.key_purposes)
    return Keys(derived.id, derived.keys)


def throwaway_keys(profile: Profile) -> Keys:
    """Returns keys that nobody will have again; none of them where a profile needs none."""
    return keys_of(profile, new_secret()) if profile.key_purposes else NO_KEYS
