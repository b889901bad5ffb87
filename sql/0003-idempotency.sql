-- The answers of committed writes, by the client's Idempotency-Key, stored in the same
-- transaction as the write. A key counts for 24 hours.

CREATE TABLE idempotency_key (
    user_id     text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,            -- SHA-256 of method, path and body
    status      smallint NOT NULL,
    version     bigint NOT NULL,
    body        text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, key),
    CONSTRAINT idempotency_key_form
        CHECK (char_length(key) BETWEEN 1 AND 255 AND key !~ '[^!-~]')
);
CREATE INDEX idempotency_key_age ON idempotency_key (created_at);
