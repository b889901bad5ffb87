-- The epoch of the cache: which Redis node is the master, by address and replication id,
-- and how the cache may be used. Whatever a node holds counts under one epoch only.
--
-- Every change of the row raises the epoch by one (cache_move). So does every transaction
-- of other hands, psql or the seeder, that changes carts: the service's own sessions,
-- which put tombstones into the cache, say so by carrito.service. Other hands insert a
-- row of their own instead of updating the one row, so that a long transaction of theirs
-- keeps nobody from moving the epoch. THE EPOCH IS THE SUM, which only ever grows, and by
-- one with each of these transactions in the order in which they become visible.

CREATE TABLE cache_epoch (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch          bigint NOT NULL,
    mode           text NOT NULL CHECK (mode IN ('replicas', 'master', 'off')),
    master         text NOT NULL,          -- host:port
    master_replid  text NOT NULL,
    server_started timestamptz NOT NULL,   -- PostgreSQL's own start, when the epoch moved
    changed_at     timestamptz NOT NULL    -- for people; no rule may rest on it
);

-- A number that no earlier database had: Redis may still hold what belongs to one that
-- was dropped or restored. The clock only sees to that, here and after a restart; what
-- counts is that the number grows.
CREATE FUNCTION cache_epoch_by_clock() RETURNS bigint
LANGUAGE sql RETURN (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- Until a keeper has seen a master.
INSERT INTO cache_epoch (epoch, mode, master, master_replid, server_started, changed_at)
VALUES (cache_epoch_by_clock(), 'off', '', '', pg_postmaster_start_time(), now());

-- Transactions of other hands that changed carts since the epoch was last moved.
CREATE TABLE cache_raise (
    xid xid8 PRIMARY KEY
);

CREATE VIEW cache_state AS
SELECT epoch + (SELECT count(*) FROM cache_raise) AS epoch, mode, master, master_replid,
       server_started = pg_postmaster_start_time() AS same_server, changed_at
FROM cache_epoch;

-- Moves from the epoch `seen` to the next, if it is still that, and says how things are
-- afterwards. Rows of cache_raise become part of the number: the sum stays.
CREATE FUNCTION cache_move(seen bigint, new_mode text, new_master text, new_replid text)
RETURNS TABLE (epoch bigint, mode text, master text, master_replid text, moved boolean)
LANGUAGE plpgsql AS $$
DECLARE
    raised bigint;
BEGIN
    -- Statements of their own: each sees what was committed before the row was had.
    PERFORM FROM cache_epoch FOR UPDATE;
    DELETE FROM cache_raise;
    GET DIAGNOSTICS raised = ROW_COUNT;
    SELECT e.epoch + raised = seen INTO moved FROM cache_epoch AS e;
    UPDATE cache_epoch AS e SET epoch = e.epoch + raised WHERE raised > 0;
    IF moved THEN
        UPDATE cache_epoch AS e
            SET epoch = CASE WHEN e.server_started = pg_postmaster_start_time()
                             THEN e.epoch + 1
                             ELSE greatest(e.epoch + 1, cache_epoch_by_clock()) END,
                mode = new_mode, master = new_master,
                master_replid = new_replid, server_started = pg_postmaster_start_time(),
                changed_at = clock_timestamp();
    END IF;
    RETURN QUERY SELECT s.epoch, s.mode, s.master, s.master_replid, moved
                 FROM cache_state AS s;
END $$;

CREATE FUNCTION cache_raise_epoch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO cache_raise VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER cart_other_hands
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON cart FOR EACH STATEMENT
    WHEN (current_setting('carrito.service', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION cache_raise_epoch();

CREATE TRIGGER cart_item_other_hands
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON cart_item FOR EACH STATEMENT
    WHEN (current_setting('carrito.service', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION cache_raise_epoch();
