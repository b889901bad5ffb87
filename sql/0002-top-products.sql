-- Totals by product, kept so that no two carts ever wait for each other.
--
-- A total that every writer updates in place is one row that all buyers of a popular
-- product queue for until the one before has committed. So a writer only inserts what it
-- changed (product_delta), whatever writes to cart_item: a statement trigger does it.
-- product_fold() moves deltas into the totals in batches; it alone updates totals, one
-- caller at a time.

CREATE TABLE product_delta (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id integer NOT NULL,
    name       text COLLATE "C" NOT NULL,
    units      bigint NOT NULL,
    carts      bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- What is in carts now, by product and by the name that carts use for it.
CREATE TABLE product_total (
    product_id integer PRIMARY KEY,
    units      bigint NOT NULL,
    carts      bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX product_total_top ON product_total (units DESC, product_id);
CREATE INDEX product_total_unused ON product_total (product_id)
    WHERE carts = 0 AND units = 0;

CREATE TABLE product_name_total (
    product_id integer NOT NULL,
    name       text COLLATE "C" NOT NULL,
    carts      bigint NOT NULL,
    PRIMARY KEY (product_id, name)
) WITH (fillfactor = 70);
CREATE INDEX product_name_total_most ON product_name_total (product_id, carts DESC, name);
CREATE INDEX product_name_total_unused ON product_name_total (product_id) WHERE carts = 0;

CREATE FUNCTION cart_item_insert_delta() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO product_delta (product_id, name, units, carts)
    SELECT product_id, name, sum(quantity), count(*)
    FROM new_rows GROUP BY product_id, name;
    RETURN NULL;
END $$;

CREATE FUNCTION cart_item_update_delta() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO product_delta (product_id, name, units, carts)
    SELECT product_id, name, sum(units), sum(carts)
    FROM (SELECT product_id, name, quantity AS units, 1 AS carts FROM new_rows
          UNION ALL
          SELECT product_id, name, -quantity, -1 FROM old_rows) AS change
    GROUP BY product_id, name
    HAVING sum(units) <> 0 OR sum(carts) <> 0;
    RETURN NULL;
END $$;

CREATE FUNCTION cart_item_delete_delta() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO product_delta (product_id, name, units, carts)
    SELECT product_id, name, -sum(quantity), -count(*)
    FROM old_rows GROUP BY product_id, name;
    RETURN NULL;
END $$;

CREATE TRIGGER cart_item_insert_delta AFTER INSERT ON cart_item
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION cart_item_insert_delta();
CREATE TRIGGER cart_item_update_delta AFTER UPDATE ON cart_item
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION cart_item_update_delta();
CREATE TRIGGER cart_item_delete_delta AFTER DELETE ON cart_item
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION cart_item_delete_delta();

-- TRUNCATE fires none of these. It holds cart_item alone, so no other change is under
-- way.
CREATE FUNCTION cart_item_truncate_totals() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE product_delta, product_total, product_name_total;
    RETURN NULL;
END $$;

CREATE TRIGGER cart_item_truncate_totals AFTER TRUNCATE ON cart_item
    FOR EACH STATEMENT EXECUTE FUNCTION cart_item_truncate_totals();

-- Folds the oldest deltas, about batch of them, into the totals. Returns how many it
-- folded; fewer than batch means that none is left. Callers take turns: the lock is held
-- until the caller's transaction ends. A change of one line comes with a larger id than
-- the change it follows, so no total drops below zero in between. Sequential scans are
-- off because deltas come and go by the ten thousand: the plan that is kept must suit the
-- most.
CREATE FUNCTION product_fold(batch bigint) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    last_id bigint;
    folded bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('/product_fold', 0));
    SELECT max(id) INTO last_id
    FROM (SELECT id FROM product_delta ORDER BY id LIMIT batch) AS oldest;
    WITH taken AS (
        DELETE FROM product_delta WHERE id <= last_id
        RETURNING product_id, name, units, carts
    ), by_name AS (
        INSERT INTO product_name_total AS total (product_id, name, carts)
        SELECT product_id, name, sum(carts) FROM taken
        GROUP BY product_id, name HAVING sum(carts) <> 0
        ON CONFLICT (product_id, name) DO UPDATE SET carts = total.carts + excluded.carts
    ), by_product AS (
        INSERT INTO product_total AS total (product_id, units, carts)
        SELECT product_id, sum(units), sum(carts) FROM taken
        GROUP BY product_id HAVING sum(units) <> 0 OR sum(carts) <> 0
        ON CONFLICT (product_id) DO UPDATE
            SET units = total.units + excluded.units, carts = total.carts + excluded.carts
    )
    SELECT count(*) INTO folded FROM taken;
    DELETE FROM product_name_total WHERE carts = 0;
    DELETE FROM product_total WHERE carts = 0 AND units = 0;
    RETURN folded;
END $$;
