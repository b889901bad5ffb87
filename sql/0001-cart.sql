-- Carts and their lines. PostgreSQL is the truth; Redis only ever holds copies.
--
-- A cart's row stays for ever once it is written, so that its version never restarts. The
-- limits that fcgi-app/src/cart/cart.h states are stated here again: whoever else writes
-- (psql, the seeder, a migration) is held to the same rules.

CREATE TABLE cart (
    user_id    text COLLATE "C" PRIMARY KEY,
    version    bigint NOT NULL,            -- grows by one with each change
    updated_at timestamptz NOT NULL,
    CONSTRAINT cart_user_id_form       -- '^[...]{1,64}$' says the same, ten times slower
        CHECK (char_length(user_id) BETWEEN 1 AND 64 AND user_id !~ '[^A-Za-z0-9._-]'
               AND user_id NOT IN ('.', '..')),
    CONSTRAINT cart_version_positive CHECK (version >= 1)
);

CREATE TABLE cart_item (
    user_id    text COLLATE "C" NOT NULL REFERENCES cart ON DELETE CASCADE,
    product_id integer NOT NULL,
    added_in   bigint NOT NULL,            -- the cart's version that added the line
    name       text NOT NULL,
    price      numeric(12, 2) NOT NULL,
    quantity   integer NOT NULL,
    PRIMARY KEY (user_id, product_id),
    CONSTRAINT cart_item_product_id_range CHECK (product_id >= 1),
    CONSTRAINT cart_item_name_form
        CHECK (char_length(name) BETWEEN 1 AND 200
               AND name !~ '[\u0001-\u001f\u007f-\u009f]'),
    CONSTRAINT cart_item_price_range CHECK (price BETWEEN 0.01 AND 1000000.00),
    CONSTRAINT cart_item_quantity_range CHECK (quantity BETWEEN 1 AND 999)
);

-- No CHECK can count rows, so this one rule is a trigger that reports itself as a CHECK.
-- It counts what it can see: two transactions that add to one cart at once must take
-- turns, as the service's do. The count is a subquery of its own for each cart, without
-- sequential scans, because the plan is kept: made while cart_item was small it would
-- else read the whole table at each insert once it has grown.
CREATE FUNCTION cart_item_check_lines() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT user_id FROM new_rows) AS changed
               WHERE (SELECT count(*) FROM cart_item
                      WHERE cart_item.user_id = changed.user_id) > 100) THEN
        RAISE EXCEPTION 'a cart holds at most 100 lines'
            USING ERRCODE = 'check_violation', TABLE = 'cart_item',
                  CONSTRAINT = 'cart_item_line_count';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER cart_item_line_count AFTER INSERT ON cart_item
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION cart_item_check_lines();
