-- wrk: each connection adds to carts of its own, all the same product or each cart another.
-- usage: wrk -s hot-product.lua URL -- RUN same|different
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    run, mode, i = args[1], args[2], 0
    headers = {["Content-Type"] = "application/json"}
end

function request()
    i = i + 1
    -- 64 carts take turns; after 900 adds each, others, as a line holds at most 999 units.
    local cart = i % 64 + 64 * math.floor(i / 57600)
    local product = mode == "same" and 1 or 1000 + number * 10000 + cart
    local path = string.format("/cart/hot-%s-%d-%d/add", run, number, cart)
    local body = string.format('{"product_id":%d,"name":"Product %d","price":9.99}', product,
                               product)
    return wrk.format("POST", path, headers, body)
end

function response(status)
    if status >= 300 then
        refused = (refused or 0) + 1
    end
end
