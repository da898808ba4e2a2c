-- The codes that patients were given.

CREATE TABLE code_series (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT code_series_pkey PRIMARY KEY,
    -- The site, group, project or device within which no code is given twice.
    scope_id bigint NOT NULL CONSTRAINT code_series_scope_id_fkey
        REFERENCES container (id) ON DELETE CASCADE,
    -- What all its codes have in common, with {} for the number.
    name text COLLATE "C" NOT NULL,
    -- The greatest number that was given in order.
    last bigint NOT NULL DEFAULT 0,
    CONSTRAINT code_series_scope_id_name_key UNIQUE (scope_id, name)
);

CREATE TABLE subject_code (
    series_id bigint NOT NULL CONSTRAINT subject_code_series_id_fkey
        REFERENCES code_series (id) ON DELETE CASCADE,
    -- The patient, as an HMAC under a key of the site.
    digest bytea NOT NULL,
    number bigint NOT NULL CONSTRAINT subject_code_number_check CHECK (number > 0),
    code text COLLATE "C" NOT NULL,
    -- The patient, encrypted with a master key: which one, and the encrypted text.
    master_key bytea NOT NULL,
    sealed bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT subject_code_pkey PRIMARY KEY (series_id, digest),
    CONSTRAINT subject_code_series_id_number_key UNIQUE (series_id, number)
);
