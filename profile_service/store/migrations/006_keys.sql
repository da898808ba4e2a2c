-- The key of each site, from which the keys of its streams are derived.

CREATE TABLE site_key (
    site_id bigint NOT NULL CONSTRAINT site_key_site_id_fkey
        REFERENCES container (id) ON DELETE CASCADE,
    -- From 1; the greatest is in use, unless a profile names another.
    generation integer NOT NULL CONSTRAINT site_key_generation_check CHECK (generation > 0),
    -- Which master key it is encrypted with: a digest, 8 bytes.
    master_key bytea NOT NULL,
    -- AES-256-GCM: a nonce of 12 bytes, the key, and a tag of 16 bytes.
    sealed bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT site_key_pkey PRIMARY KEY (site_id, generation)
);

-- What a valid text needs keys for: scope, generation (0: the one in use) and purposes, as
-- site/0/hash,uid; NULL where it needs none. Part of what the validator says.
ALTER TABLE profile_version ADD COLUMN key_use text;
