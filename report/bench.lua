-- wrk: what report/bench asks for.
-- usage: wrk -s bench.lua URL -- MODE CARTS [SEED]
--   constant         the path /return
--   read             carts at random out of user101 to user(100+CARTS)
--   walk             each cart once, two threads one half each; SEED: where to begin
--   add              a line that is new, to carts at random
--   grow             one more of product 2000000, to carts at random
--   update           the quantity of product 2000000
local n_threads = 0 -- in the script's first state alone, which setup() belongs to

function setup(thread)
    thread:set("number", n_threads)
    n_threads = n_threads + 1
end

function init(args)
    mode, carts, seed, i = args[1], tonumber(args[2] or 1), tonumber(args[3] or 0), 0
    math.randomseed(seed * 7919 + number * 104729 + 1)
    json = {["Content-Type"] = "application/json"}
    constant = wrk.format("GET", "/return")
    ready = {}
    if mode == "read" then
        for k = 1, math.max(8192, carts) do
            ready[k] = wrk.format("GET", "/cart/user" .. (100 + math.random(carts)))
        end
    end
end

function request()
    i = i + 1
    if mode == "constant" then
        return constant
    elseif mode == "read" then
        return ready[i % #ready + 1]
    elseif mode == "walk" then
        return wrk.format("GET", "/cart/user" .. (101 + (seed + 2 * i + number) % carts))
    elseif mode == "grow" then
        return wrk.format("POST", "/cart/user" .. (100 + math.random(carts)) .. "/add", json,
            '{"product_id":2000000,"name":"Load","price":9.99}')
    elseif mode == "add" then
        return wrk.format("POST", "/cart/user" .. (100 + math.random(carts)) .. "/add", json,
            '{"product_id":' .. math.random(3000000, 2000000000) ..
            ',"name":"Load","price":9.99}')
    end
    return wrk.format("PUT", "/cart/user" .. (100 + math.random(carts)) .. "/update/2000000",
        json, '{"quantity":' .. math.random(100) .. '}')
end
