-- wrk: reads 64 carts in turn, or adds to carts that belong to this run.
-- usage: wrk -s lease-cost.lua URL -- read|write PREFIX RUN
function init(args)
    mode, prefix, run, i = args[1], args[2], args[3], 0
    headers = {["Content-Type"] = "application/json"}
end

function request()
    i = i + 1
    if mode == "read" then
        return wrk.format("GET", string.format("/cart/%s-%d", prefix, i % 64))
    end
    -- A line holds at most 999 units.
    local cart = i % 64 + 64 * math.floor(i / 57600)
    local path = string.format("/cart/%s-write-%s-%d/add", prefix, run, cart)
    return wrk.format("POST", path, headers,
                      '{"product_id":1,"name":"Product 1","price":9.99}')
end
