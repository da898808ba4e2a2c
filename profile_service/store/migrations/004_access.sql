-- API keys, roles and who has them.

CREATE TABLE api_key (
    -- Random, and never given to another key.
    id text COLLATE "C" CONSTRAINT api_key_pkey PRIMARY KEY,
    -- Where it was made, and goes with; NULL for all sites.
    container_id bigint CONSTRAINT api_key_container_id_fkey REFERENCES container (id)
        ON DELETE CASCADE,
    -- SHA-256 of the whole key, which is too random to be guessed.
    hash bytea NOT NULL CONSTRAINT api_key_hash_check CHECK (octet_length(hash) = 32),
    display_name text NOT NULL,
    creator text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz,
    revoke_time timestamptz,
    last_use_time timestamptz
);

CREATE INDEX api_key_container_id_id_idx ON api_key (container_id, id);

-- The roles that a site has made; those that are built in are in the code.
CREATE TABLE custom_role (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT custom_role_pkey PRIMARY KEY,
    site_id bigint NOT NULL CONSTRAINT custom_role_site_id_fkey REFERENCES container (id)
        ON DELETE CASCADE,
    -- The resource name.
    name text COLLATE "C" NOT NULL CONSTRAINT custom_role_name_key UNIQUE,
    -- Names of permissions, with spaces between.
    permissions text NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX custom_role_site_id_name_idx ON custom_role (site_id, name);

-- That a principal has a role on a container and below. By the identity of the container:
-- one that is made anew under the same name has none of them.
CREATE TABLE binding (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT binding_pkey PRIMARY KEY,
    -- NULL for all sites.
    container_id bigint CONSTRAINT binding_container_id_fkey REFERENCES container (id)
        ON DELETE CASCADE,
    principal text COLLATE "C" NOT NULL,
    -- A role that is built in, or the name of one of the site.
    role text COLLATE "C" NOT NULL,
    -- A site is deleted with its bindings and roles at once, in whichever order.
    custom_role_id bigint CONSTRAINT binding_custom_role_id_fkey REFERENCES custom_role (id)
        ON DELETE NO ACTION,
    -- What it gives, for those who ask often: the role itself where it is built in, else the
    -- permissions of the role of the site.
    words text NOT NULL,
    -- The key that the principal is, if it is one.
    key_id text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN starts_with(principal, 'key:') THEN substr(principal, 5) END
    ) STORED CONSTRAINT binding_key_id_fkey REFERENCES api_key (id) ON DELETE CASCADE,
    creator text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX binding_key ON binding (principal, coalesce(container_id, 0), role);
CREATE INDEX binding_container_id_idx ON binding (container_id, principal, role);
CREATE INDEX binding_key_id_idx ON binding (key_id);
CREATE INDEX binding_custom_role_id_idx ON binding (custom_role_id);
